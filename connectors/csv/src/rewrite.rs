//! Writes a refused row anew with some of its cells changed, in the dialect of its file.

use crate::config::{CsvDropsConfig, Escapes, Header};
use crate::decode;
use crate::scanner::Block;
use crate::syntax::Syntax;
use unbatch_api::quarantine::{Edit, RawCell};
use unbatch_api::{Error, Result};

/// The text with some cells of its row replaced. An edit behind the end of a row that is too short adds a field; it never
/// fills a gap before it, so such a row stays too short until each missing field was given.
pub fn edited(config: &CsvDropsConfig, text: &[u8], edits: &[Edit]) -> Result<Vec<u8>> {
    let syntax = Syntax::of(&config.of_one_row());
    let (header, row) = header_of(config, text, &syntax)?;
    let names =
        |cells: usize| header.clone().unwrap_or_else(|| names_by_position(config, cells.max(config.columns.len())));
    if let Syntax::Fixed { .. } = syntax {
        return with_places(config, &syntax, text, &placed(edits, &names(0))?);
    }
    let (mut cells, _) = record(&text[row..], &syntax, config)?;
    for (place, edit) in placed(edits, &names(cells.len()))? {
        let cell = Cell { raw: raw_cell(&edit.text, config)?, content: Vec::new() };
        if place < cells.len() {
            cells[place] = cell;
        } else if place == cells.len() {
            cells.push(cell);
        }
    }
    let mut out = text[..row].to_vec();
    out.extend(cells.iter().map(|cell| &cell.raw[..]).collect::<Vec<_>>().join(config.dialect.delimiter_bytes()));
    out.extend_from_slice(syntax.line_end().text());
    Ok(out)
}

/// The fields of the row by the names of their columns; one without a column has none of its own to be called by.
pub fn cells(config: &CsvDropsConfig, text: &[u8]) -> Result<Vec<RawCell>> {
    let syntax = Syntax::of(&config.of_one_row());
    let (header, row) = header_of(config, text, &syntax)?;
    let (cells, _) = record(&text[row..], &syntax, config)?;
    let names = header.unwrap_or_else(|| names_by_position(config, cells.len()));
    let cell = |(column, cell): (String, &Cell)| {
        let text = String::from_utf8_lossy(&cell.content).into_owned();
        RawCell { column, text: (!cell.raw.is_empty()).then_some(text) }
    };
    Ok(names.into_iter().zip(&cells).map(cell).collect())
}

/// The names in the header, when there is one, and where the row begins.
fn header_of(config: &CsvDropsConfig, text: &[u8], syntax: &Syntax) -> Result<(Option<Vec<String>>, usize)> {
    if config.dialect.header == Header::None {
        return Ok((None, 0));
    }
    let (header, used) = record(text, syntax, config)?;
    let given = header.iter().map(|cell| String::from_utf8_lossy(&cell.content).into_owned());
    Ok((Some(decode::numbered(config, &given.collect::<Vec<_>>())), used))
}

/// A field as it stands in the file, and what it means.
struct Cell {
    raw: Vec<u8>,
    content: Vec<u8>,
}

/// Each edit with the number of its column, in their order.
fn placed<'a>(edits: &'a [Edit], names: &[String]) -> Result<Vec<(usize, &'a Edit)>> {
    let mut at: Vec<(usize, &Edit)> = Vec::with_capacity(edits.len());
    for edit in edits {
        let place = names.iter().position(|name| *name == edit.column);
        at.push((place.ok_or_else(|| unknown_column(&edit.column, names))?, edit));
    }
    at.sort_by_key(|(place, _)| *place);
    Ok(at)
}

/// The fields of the first record, and how many bytes it takes with its line break.
fn record(text: &[u8], syntax: &Syntax, config: &CsvDropsConfig) -> Result<(Vec<Cell>, usize)> {
    let mut block = Block::default();
    let used = syntax.first_record(text, &mut block);
    if block.records.is_empty() {
        return Err(Error::misconfigured("changing a cell failed, the row has no fields that can be told apart")
            .code("U0227")
            .help("look at it with `unbatch quarantine show`; its quotes are broken. Correct it in the file and deliver that again"));
    }
    let quote: Vec<u8> = config.dialect.quote_byte().into_iter().collect();
    let mut scratch = Vec::new();
    let cells = block.fields.iter().map(|field| {
        let raw = &text[field.range()];
        let raw = if field.is_quoted() { [&quote, raw, &quote].concat() } else { raw.to_vec() };
        Cell { raw, content: syntax.content(text, *field, &mut scratch).to_vec() }
    });
    Ok((cells.collect(), used))
}

/// Quoted only where it must be: an unquoted empty field is NULL, and NULL words are words only without quotes.
fn raw_cell(text: &str, config: &CsvDropsConfig) -> Result<Vec<u8>> {
    let dialect = &config.dialect;
    let escape = dialect.escape_byte();
    let ends = crate::syntax::LineEnd::of(dialect);
    let delimiter = String::from_utf8_lossy(dialect.delimiter_bytes()).into_owned();
    let end = String::from_utf8_lossy(ends.text()).into_owned();
    let is_special = |c: char| {
        matches!(c, '\n' | '\r')
            || [dialect.quote_byte(), escape].into_iter().flatten().any(|byte| char::from(byte) == c)
    };
    let is_null_code = dialect.escapes == Escapes::Codes && escape.is_some_and(|e| text.as_bytes() == [e, b'N']);
    // a part of a longer delimiter could make a whole one with what stands beside it
    let firsts: Vec<char> = delimiter.chars().chain(end.chars()).collect();
    if is_null_code || !text.contains(|c| is_special(c) || firsts.contains(&c)) {
        return Ok(text.as_bytes().to_vec());
    }
    if let Some(quote) = dialect.quote_byte() {
        return Ok(quoted(text, char::from(quote), escape.map(char::from)).into_bytes());
    }
    match escape.filter(|_| dialect.escapes != Escapes::Quotes) {
        Some(escape) => {
            let mut out = String::with_capacity(2 * text.len());
            for c in text.chars() {
                if is_special(c) || firsts.contains(&c) {
                    out.push(char::from(escape));
                }
                out.push(c);
            }
            Ok(out.into_bytes())
        }
        None => Err(Error::misconfigured("changing a cell failed, its new text holds what ends a field")
            .code("U0227")
            .help("without quotes and escapes such a text cannot be written; leave the delimiter and line breaks out")),
    }
}

/// In quotes; quotes and escapes inside are written twice.
fn quoted(text: &str, quote: char, escape: Option<char>) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        if c == quote || Some(c) == escape {
            out.push(c);
        }
        out.push(c);
    }
    out.push(quote);
    out
}

fn with_places(config: &CsvDropsConfig, syntax: &Syntax, text: &[u8], edits: &[(usize, &Edit)]) -> Result<Vec<u8>> {
    let Syntax::Fixed { fixed, .. } = syntax else { return Ok(text.to_vec()) };
    let mut text = text.to_vec();
    for (place, edit) in edits {
        let most = fixed.cell_width(*place).unwrap_or_default();
        if edit.text.chars().count() > most {
            return Err(Error::misconfigured("changing a cell failed, its new text is longer than the column")
                .code("U0227")
                .with("column", &config.columns[*place].name)
                .help(format!("the column has {most} characters")));
        }
        text = fixed.with_cell(&text, *place, &edit.text);
    }
    Ok(text)
}

/// As columns of files without a header are called.
fn names_by_position(config: &CsvDropsConfig, count: usize) -> Vec<String> {
    let name = |at: usize| config.columns.get(at).map_or_else(|| format!("c{}", at + 1), |column| column.name.clone());
    (0..count).map(name).collect()
}

fn unknown_column(column: &str, names: &[String]) -> Error {
    Error::misconfigured("changing a cell failed, the row has no such column")
        .code("U0227")
        .with("column", column)
        .help(format!("its columns are {}", names.join(", ")))
}
