#!/bin/sh
# REPLACED by pipelines/dc-stock-counts.yaml; kept here only to show what there was. Nothing runs this.
#
# Loads what the distribution centres have dropped by 02:30 into the stock table.
set -e

day=$(date -d yesterday +%F)

for file in /drops/stock/stock_*_"$day"_*.csv; do
    # One bad row, or a file that breaks off inside quotes, and psql stops: this file and all after it wait for a person.
    psql -v ON_ERROR_STOP=1 warehouse \
        -c "set datestyle = 'German'" \
        -c "\\copy staging.stock_counts from '$file' with (format csv, header, delimiter ';')"
    mv "$file" /drops/stock/done/
done

# Everything that staging holds by now goes into the table: a file that came twice counts twice.
psql -v ON_ERROR_STOP=1 warehouse <<'SQL'
begin;
insert into stock.counts select *, replace(unit_cost, ',', '.')::numeric from staging.stock_counts;
truncate staging.stock_counts;
commit;
SQL
