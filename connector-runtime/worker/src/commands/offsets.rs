//! `unbatch offsets get|set|reset`: where a stopped pipeline stands, in human terms. A change first shows what it would do.

use super::Context;
use crate::answer::Answer;
use crate::arguments::{Offsets, Pipeline};
use crate::failure::{Failure, Outcome};
use crate::pipeline_files::find_one;
use crate::tables::{Align, table};
use crate::terminal::{Glyph, Terminal};
use serde_json::json;
use std::fmt::Write;
use unbatch_api::{Error, Jump, Part, PartView, Position};
use unbatch_engine::offsets::{Change, SplitOffsets, carry_out, plan_reset, plan_set, view};

pub(crate) fn offsets(command: &Offsets, cx: &Context) -> Outcome<Answer> {
    match command {
        Offsets::Get { pipeline } => get(pipeline, cx),
        Offsets::Set { pipeline, jumps, split, yes } => {
            let jumps = jumps.iter().map(|text| jump(text)).collect::<Result<Vec<_>, _>>()?;
            change(pipeline, Wanted::Jumps { split: *split, jumps }, *yes, cx)
        }
        Offsets::Reset { pipeline, yes } => change(pipeline, Wanted::Nothing, *yes, cx),
    }
}

/// What is to stand afterwards.
enum Wanted {
    Jumps { split: u32, jumps: Vec<Jump> },
    Nothing,
}

const COLUMNS: [(&str, Align); 4] =
    [("split", Align::Left), ("part", Align::Left), ("position", Align::Left), ("meaning", Align::Left)];

fn get(pipeline: &Pipeline, cx: &Context) -> Outcome<Answer> {
    let looking = cx.look(pipeline.dev.dev)?;
    let spec = find_one(&pipeline.name, &pipeline.paths, looking.setup.file.as_deref(), &cx.registry)?;
    let stored = super::async_runtime()?.block_on(view(&spec, &looking.scene()))?;
    Ok(Answer::new(stored_text(&stored, &cx.terminal), json!({"pipeline": pipeline.name, "splits": stored})))
}

fn stored_text(stored: &[SplitOffsets], terminal: &Terminal) -> String {
    if stored.is_empty() {
        return "nothing is committed yet: the next start is a first start\n".to_owned();
    }
    let rows = stored.iter().flat_map(|split| parts(&split.split, &split.parts));
    let mut text = table(&COLUMNS, rows, terminal);
    for split in stored {
        let _ = writeln!(
            text,
            "{}: generation {}, epoch {}, owner {}, revision {}",
            split.split, split.generation, split.epoch, split.owner, split.revision
        );
        if let Some(to) = &split.moved_to {
            let _ = writeln!(text, "{}: moved to {to}, which goes on from here", split.split);
        }
    }
    text
}

fn parts<'a>(split: &'a str, parts: &'a [PartView]) -> impl Iterator<Item = Vec<String>> + 'a {
    parts.iter().map(move |p| vec![split.to_owned(), p.part.clone(), p.position.clone(), p.meaning.clone()])
}

fn change(pipeline: &Pipeline, wanted: Wanted, yes: bool, cx: &Context) -> Outcome<Answer> {
    let looking = cx.look(pipeline.dev.dev)?;
    let spec = find_one(&pipeline.name, &pipeline.paths, looking.setup.file.as_deref(), &cx.registry)?;
    let scene = looking.scene();
    let is_reset = matches!(wanted, Wanted::Nothing);
    super::async_runtime()?.block_on(async {
        let planned = match &wanted {
            Wanted::Jumps { split, jumps } => vec![plan_set(&spec, &scene, *split, jumps).await?],
            Wanted::Nothing => plan_reset(&spec, &scene).await?,
        };
        if planned.is_empty() {
            let text = "nothing is committed yet, so there is nothing to change\n";
            return Ok(Answer::new(text, json!({"pipeline": pipeline.name, "changes": [], "done": true})));
        }
        let mut text = consequence(&planned, is_reset, &cx.terminal);
        let changes = json!(planned);
        if !yes {
            text.push_str("nothing was changed\n");
            let error = Error::misconfigured("changing positions without consent is not allowed")
                .code("U0760")
                .with("pipeline", &pipeline.name)
                .help("stop the pipeline, then run the same command with --yes");
            let result = json!({"pipeline": pipeline.name, "changes": changes, "done": false});
            return Ok(Answer::new(text, result).failed(Failure::Error(error)));
        }
        let mut generations = Vec::new();
        for one in planned {
            generations.push(carry_out(&spec, &scene, one).await?.generation);
        }
        let raised: Vec<String> = generations.iter().map(u64::to_string).collect();
        let _ = writeln!(text, "done; {} is in generation {} now", pipeline.name, raised.join(", "));
        let result = json!({"pipeline": pipeline.name, "changes": changes, "done": true, "generations": generations});
        Ok(Answer::new(text, result))
    })
}

/// What the next start will do differently.
fn consequence(planned: &[Change], is_reset: bool, terminal: &Terminal) -> String {
    let mut text = String::new();
    let arrow = terminal.glyph(Glyph::Arrow);
    for change in planned {
        let _ = writeln!(text, "{}", change.split);
        let mut is_different = false;
        for before in &change.before {
            let after = change.after.iter().find(|a| a.part == before.part);
            match after {
                Some(after) if after.position == before.position => continue,
                Some(after) => {
                    let _ = writeln!(
                        text,
                        "  {}: {} {arrow} {} ({})",
                        before.part, before.position, after.position, after.meaning
                    );
                }
                None => {
                    let _ =
                        writeln!(text, "  {}: {} {arrow} forgotten ({})", before.part, before.position, before.meaning);
                }
            }
            is_different = true;
        }
        for added in change.after.iter().filter(|a| !change.before.iter().any(|b| b.part == a.part)) {
            let _ = writeln!(text, "  {}: {arrow} {} ({})", added.part, added.position, added.meaning);
            is_different = true;
        }
        if !is_different && !is_reset {
            let _ = writeln!(text, "  as it is");
        }
    }
    text.push_str(match is_reset {
        true => "everything that the source still has is read again and written to the sink again\n",
        false => "rows between the old and the new position are written again, or are skipped for good\n",
    });
    text
}

fn jump(text: &str) -> Result<Jump, Error> {
    // a part may hold `=` itself, a position rather not
    match text.rsplit_once('=') {
        Some((part, position)) if !part.is_empty() && !position.is_empty() => {
            Ok(Jump { part: Part::from(part), position: Position::from(position) })
        }
        _ => Err(Error::misconfigured("reading the new position failed")
            .code("U0761")
            .with("argument", text)
            .help("write PART=POSITION with a part that `unbatch offsets get` shows")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_is_a_part_and_a_position() {
        let parsed = jump("file/a=b.csv=120").unwrap();
        assert_eq!((parsed.part.as_str(), parsed.position.as_str()), ("file/a=b.csv", "120"));
        for bad in ["", "a", "=1", "a="] {
            assert_eq!(jump(bad).unwrap_err().code_text(), Some("U0761"), "{bad}");
        }
    }

    #[test]
    fn a_pipeline_that_never_committed_has_nothing_to_show() {
        assert!(stored_text(&[], &Terminal::detect(true)).contains("nothing is committed yet"));
    }

    #[test]
    fn parts_are_listed_with_their_meaning() {
        let stored = [SplitOffsets {
            split: "stock/0".into(),
            generation: 1,
            owner: 2,
            epoch: 3,
            revision: 1,
            moved_to: None,
            parts: vec![PartView {
                part: "file/1".into(),
                position: "0007".into(),
                meaning: "a.csv, 7 rows read".into(),
            }],
        }];
        let text = stored_text(&stored, &Terminal::detect(true));
        assert!(text.contains("a.csv, 7 rows read") && text.contains("generation 1, epoch 3, owner 2"), "{text}");
    }
}
