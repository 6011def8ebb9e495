#!/bin/sh
# Writes the three price lists in lists/, as their suppliers do. They are checked in; this only shows how they came to be.
# Each has one bad row.
set -eu
cd "$(dirname "$0")/lists"

# Garda: semicolons, decimal commas, windows-1252, packed. The price of GA-1031 has a letter O for a zero.
printf '%s\r\n' \
    'sku;articolo;prezzo;prezzo_al_pubblico;valido_dal' \
    'GA-1001;Mocassino da città;89,90;149,00 €;03.03.2026' \
    'GA-1002;Décolleté «Verità»;119,00;199,00 €;03.03.2026' \
    'GA-1030;Stivale più alto, suola in gomma;1.149,50;1.899,00 €;03.03.2026' \
    'GA-1031;Sandalo;1O4,90;169,00 €;03.03.2026' \
    'GA-1044;Scarponcino "Baldo";134,90;;15.03.2026' \
    'GA-1050;Pantofola;24,50;39,90 €;03.03.2026' |
    iconv -f UTF-8 -t WINDOWS-1252 | gzip -9n >garda_2026-03-02.csv.gz

# Harbour: tabs, no quotes, dates as in America. There was no 30th of February for HB-77.
printf '%s\t%s\t%s\t%s\t%s\n' \
    sku description price valid_from valid_to \
    HB-12 'Deck shoe, 9" last' 64.00 03/03/2026 '' \
    HB-13 'Deck shoe, navy' 64.00 03/03/2026 06/30/2026 \
    HB-20 'Rubber boot' 38.25 03/03/2026 '' \
    HB-77 'Sailing boot' 112.00 02/30/2026 '' \
    HB-78 'Sailing boot, wide' 115.50 03/03/2026 '' \
    HB-90 'Laces "Classic"' 3.10 03/03/2026 12/31/2026 >harbour_2026-03-02.tsv

# Isar: an extract of a mainframe, 60 characters a line, prices in cents, the number of rows in the last line. IS00000412 has a currency
# that does not exist.
printf '%-10s%-24s%09d%-3s%-8s%-6s\n' \
    IS00000405 'LEISTEN BUCHE' 1290 EUR 20260303 '' \
    IS00000408 'SENKEL 120CM GEWACHST' 349 EUR 20260303 '' \
    IS00000412 'EINLEGESOHLE FILZ' 795 EUE 20260303 '' \
    IS00000413 'EINLEGESOHLE LEDER' 1595 CHF 20260401 '' \
    IS00000420 'SCHUHSPANNER ZEDER' 123450 EUR 20260303 '' >isar_2026-03-02.txt
printf 'TRL%06d%51s\n' 5 '' >>isar_2026-03-02.txt
