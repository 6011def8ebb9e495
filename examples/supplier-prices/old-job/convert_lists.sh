#!/bin/sh
# REPLACED by pipelines/prices-*.yaml; kept here only to show what there was. Nothing runs this.
#
# Brings the lists of three suppliers into the shape that load_prices.sh takes.
set -e

for file in /drops/prices/garda_*.csv.gz; do
    # Every comma becomes a point, those in the names of articles too. A euro sign that was written as windows-1252 is no
    # latin-1: it becomes a control character.
    zcat "$file" | iconv -f latin1 -t utf-8 | tr ',' '.' >"/drops/prices/prices_$(basename "$file" .gz)"
done
for file in /drops/prices/harbour_*.tsv; do
    # A quote for an inch opens a quoted field for whoever reads this next.
    tr '\t' ';' <"$file" >"/drops/prices/prices_$(basename "$file" .tsv).csv"
done
for file in /drops/prices/isar_*.txt; do
    # The last line is dropped and not compared: a list that was cut off loses a good row and nobody sees it.
    sed '$d' "$file" | awk '{
        printf "%s;%s;%.2f;%s;%s\n", substr($0, 1, 10), substr($0, 11, 24), substr($0, 35, 9) / 100, substr($0, 44, 3), substr($0, 47, 8)
    }' >"/drops/prices/prices_$(basename "$file" .txt).csv"
done
