#!/bin/sh
# REPLACED by pipelines/supplier-prices.yaml; kept here only to show what there was. Nothing runs this.
#
# Loads the price lists that the suppliers have sent by 03:30 into the price table.
set -e

psql warehouse -c 'truncate staging.prices'
for file in /drops/prices/prices_*.csv; do
    # Some suppliers send a byte order mark and line ends of Windows. The second sed also takes the line breaks of terms
    # that span lines apart from their carriage returns: what a supplier wrote is not quite what is loaded.
    sed -e '1s/^\xef\xbb\xbf//' -e 's/\r$//' "$file" >/tmp/prices.csv
    # Everything is text in staging, so that a wrong price does not stop the load here. It stops it below, for all suppliers.
    psql -v ON_ERROR_STOP=1 warehouse \
        -c "\\copy staging.prices from '/tmp/prices.csv' with (format csv, header, delimiter ';', null 'NULL')"
    mv "$file" /drops/prices/done/
done

psql -v ON_ERROR_STOP=1 warehouse <<'SQL'
set datestyle = 'German';
insert into purchasing.prices
select supplier, sku, replace(price, ',', '.')::numeric(12,2), valid_from::date from staging.prices
on conflict (supplier, sku, valid_from) do update set price = excluded.price;
SQL
