#!/bin/sh
# REPLACED by pipelines/product-master.yaml; kept here only to show what there was. Nothing runs this.
#
# Loads the whole product master each night in place of the one before.
set -e

sed -e 's/,\([0-9][0-9]\);/.\1;/' /drops/products/products_*.csv >/tmp/products.csv
psql -v ON_ERROR_STOP=1 warehouse <<'SQL'
truncate shop.products;
\copy shop.products from '/tmp/products.csv' with (format csv, header, delimiter ';')
SQL
# Who needs to know what changed compares the table with a copy of their own.
mv /drops/products/products_*.csv /drops/products/done/
