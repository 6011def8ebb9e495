//! `unbatch validate`: everything that is wrong with the files at once; with `--online` also what the systems say.

use super::validate_report::{Remark, concise, github, sarif};
use super::{Context, scene};
use crate::answer::Answer;
use crate::arguments::{Validate, ValidateFormat};
use crate::cluster_choice::Want;
use crate::exit::Exit;
use crate::failure::{Counted, Failure, Outcome, render_diagnostics, verdict};
use crate::pipeline_files::find;
use crate::runtime_file::setup;
use crate::terminal::{Glyph, Output, Style, Terminal};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::PathBuf;
use unbatch_api::{Bound, Error, Finding, Severity, SplitId};
use unbatch_engine::Scene;
use unbatch_engine::config::{Diagnostics, PipelineSpec, load};
use unbatch_engine::run::check_context;

pub(crate) fn validate(args: &Validate, cx: &Context) -> Outcome<Answer> {
    match args.format {
        Some(_) if cx.globals.json => {
            Err(Error::misconfigured("writing the result in two forms at once is not possible")
                .code("U0744")
                .help("leave out --json or --format")
                .into())
        }
        None | Some(ValidateFormat::Full) => in_full(look(args, cx)?, cx),
        Some(format) => for_programs(format, look(args, cx), cx),
    }
}

/// All that is known after looking.
struct Looked {
    found: Diagnostics,
    files: usize,
    specs: Vec<PipelineSpec>,
    /// Empty unless the systems were to be asked and the files are right.
    asked: Vec<Asked>,
}

fn look(args: &Validate, cx: &Context) -> Outcome<Looked> {
    let mut found = Diagnostics::default();
    let setup = match setup(&cx.globals) {
        Ok(setup) => Some(setup),
        Err(more) => {
            found.extend(more);
            None
        }
    };
    let runtime_file = cx.globals.config.as_deref().or(setup.as_ref().and_then(|s| s.file.as_deref()));
    let paths = find(&args.paths, runtime_file)?;
    let (specs, more) = load(&paths, &cx.registry);
    found.extend(more);
    let files = paths.len() + usize::from(setup.as_ref().is_none_or(|s| s.file.is_some()));
    let mut asked = Vec::new();
    if let Some(mut setup) = setup.filter(|_| args.online && !found.has_errors()) {
        // what a run with the same options would use: another broker may be as ready as it likes
        let want = if args.dev { Want::Look { dev: true } } else { Want::Run };
        let _served = cx.settle(&mut setup, want)?;
        let scene = scene(&setup, Bound::Once, BTreeSet::new());
        asked = super::async_runtime()?
            .block_on(async { futures::future::join_all(specs.iter().map(|spec| ask(spec, &scene))).await });
    }
    Ok(Looked { found, files, specs, asked })
}

/// With snippets, for a person; or all of it in the JSON envelope.
fn in_full(looked: Looked, cx: &Context) -> Outcome<Answer> {
    let Looked { found, files, specs, asked } = looked;
    if found.has_errors() {
        return Err(Failure::Files { found, files });
    }
    // warnings go where errors would go, so that stdout holds one line that a person or a script can read
    if !cx.terminal.json {
        cx.terminal.say_if_any(&render_diagnostics(&found, &cx.terminal));
    }
    let unchecked: Vec<String> =
        specs.iter().filter(|s| !s.columns_known && !s.steps.is_empty()).map(|s| s.name.to_string()).collect();
    for name in unchecked.iter().filter(|_| !cx.terminal.json) {
        cx.terminal.say(&format!(
            "{name}: the source does not say its columns, so whether the steps fit them is seen when it runs; `unbatch preview {name}` looks now"
        ));
    }
    let mut text = online_text(&asked, &cx.terminal);
    let counted = counted(&found, &asked);
    text.push_str(&verdict(&counted, files, &cx.terminal));
    let result = json!({
        "files": files,
        "pipelines": specs.iter().map(|s| s.name.to_string()).collect::<Vec<_>>(),
        "errors": counted.errors,
        "warnings": counted.warnings,
        "diagnostics": found,
        "steps_not_checked": unchecked,
        "online": asked,
    });
    let answer = Answer::new(text, result);
    Ok(match refusal(asked) {
        Some(failure) => answer.failed(failure),
        None => answer,
    })
}

/// The report alone on stdout, for a program to read; the verdict beside it for the person who looks at its log. What kept us
/// from looking stands in the report too, so that there is always a whole one.
fn for_programs(format: ValidateFormat, looked: Outcome<Looked>, cx: &Context) -> Outcome<Answer> {
    let (remarks, exit) = match looked {
        Ok(looked) => {
            let remarks = remarks(&looked);
            let counted = counted(&looked.found, &looked.asked);
            cx.terminal.say(&verdict(&counted, looked.files, &cx.terminal));
            let exit = match looked.found.has_errors() {
                true => Exit::Misconfigured,
                false => refusal(looked.asked).map_or(Exit::Good, |failure| failure.exit()),
            };
            (remarks, exit)
        }
        Err(Failure::Error(error)) => {
            let failure = Failure::Error(error);
            cx.terminal.say(&failure.render(&cx.terminal));
            let Failure::Error(error) = &failure else { return Err(failure) };
            (vec![Remark::of_error(error, None)], failure.exit())
        }
        Err(other) => return Err(other),
    };
    let text = match format {
        ValidateFormat::Github => github(&remarks),
        ValidateFormat::Sarif => format!("{:#}\n", sarif(&remarks, &cx.registry)),
        ValidateFormat::Full | ValidateFormat::Concise => concise(&remarks, &cx.terminal),
    };
    Ok(Answer::new(text, ()).exit(exit))
}

fn remarks(looked: &Looked) -> Vec<Remark> {
    let mut remarks: Vec<Remark> = looked.found.iter().map(Remark::from).collect();
    for one in &looked.asked {
        let of_finding = |finding: &Finding| Remark {
            severity: finding.severity,
            code: Some(finding.code),
            message: format!("{}: {}", one.pipeline, finding.message),
            help: finding.remedy.clone(),
            file: Some(one.file.clone()),
            place: None,
        };
        remarks.extend(one.findings.iter().map(of_finding));
        remarks.extend(one.errors.iter().map(|error| {
            let remark = Remark::of_error(error, Some(&one.file));
            Remark { message: format!("{}: {}", one.pipeline, remark.message), ..remark }
        }));
    }
    remarks
}

/// What the systems of one pipeline say.
#[derive(Serialize)]
struct Asked {
    pipeline: String,
    #[serde(skip)]
    file: PathBuf,
    findings: Vec<Finding>,
    #[serde(skip)]
    errors: Vec<Error>,
    /// The same, for the envelope.
    #[serde(rename = "errors")]
    messages: Vec<String>,
}

async fn ask(spec: &PipelineSpec, scene: &Scene) -> Asked {
    let place = || check_context(spec, scene, SplitId::new(spec.name.clone(), 0));
    let (source, sink) = futures::future::join(spec.source.check(place()), spec.sink.check(place())).await;
    let (pipeline, file) = (spec.name.to_string(), spec.file.clone());
    let mut asked = Asked { pipeline, file, findings: Vec::new(), errors: Vec::new(), messages: Vec::new() };
    for answer in [source, sink] {
        match answer {
            Ok(findings) => asked.findings.extend(findings),
            Err(error) => {
                asked.messages.push(error.one_line());
                asked.errors.push(error);
            }
        }
    }
    asked
}

fn online_text(asked: &[Asked], terminal: &Terminal) -> String {
    let mut text = String::new();
    let mut told: Vec<&Finding> = Vec::new();
    for (at, one) in asked.iter().enumerate() {
        if one.findings.is_empty() && one.errors.is_empty() {
            let good = terminal.paint(Output::Result, Style::Green, terminal.glyph(Glyph::Good));
            let _ = writeln!(text, "{good} {}: source and sink are ready", one.pipeline);
        }
        for finding in &one.findings {
            // what several pipelines have to hear, such as how many brokers there are, is said once
            if told.iter().any(|other| is_same(other, finding)) {
                continue;
            }
            told.push(finding);
            let has = |one: &&Asked| one.findings.iter().any(|other| is_same(other, finding));
            let whom: Vec<&str> = asked[at..].iter().filter(has).map(|one| one.pipeline.as_str()).collect();
            let word = match finding.severity {
                Severity::Error => terminal.paint(Output::Result, Style::Red, &format!("error[{}]", finding.code)),
                Severity::Warning => {
                    terminal.paint(Output::Result, Style::Magenta, &format!("warning[{}]", finding.code))
                }
            };
            let _ = writeln!(text, "{word}: {}: {}\n  help: {}", whom.join(", "), finding.message, finding.remedy);
        }
    }
    text
}

fn is_same(one: &Finding, other: &Finding) -> bool {
    (one.severity, one.code, &one.message, &one.remedy) == (other.severity, other.code, &other.message, &other.remedy)
}

/// What the files say and what the systems say.
fn counted(found: &Diagnostics, asked: &[Asked]) -> Counted {
    let mut counted = Counted::of(found);
    for one in asked {
        for finding in &one.findings {
            match finding.severity {
                Severity::Error => counted.error(Some(finding.code)),
                Severity::Warning => counted.warning(finding.code),
            }
        }
        one.errors.iter().for_each(|error| counted.error(error.code_text()));
    }
    counted
}

/// Errors of asking, and findings that are errors.
fn refusal(asked: Vec<Asked>) -> Option<Failure> {
    let mut failed = Vec::new();
    for one in asked {
        let severe = one.findings.iter().filter(|f| f.severity == Severity::Error);
        let findings = severe.map(|f| Error::misconfigured(f.message.clone()).code(f.code).help(f.remedy.clone()));
        failed.extend(one.errors.into_iter().chain(findings).map(|e| (one.pipeline.clone(), e)));
    }
    if failed.is_empty() { None } else { Some(Failure::Pipelines(failed)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(severity: Severity, errors: Vec<Error>) -> Asked {
        let finding =
            Finding { severity, code: "U0299", message: "one copy only".into(), remedy: "add brokers".into() };
        let file = PathBuf::from("stock.yaml");
        Asked { pipeline: "stock".into(), file, findings: vec![finding], errors, messages: Vec::new() }
    }

    #[test]
    fn what_systems_say_is_reported_at_the_file_of_the_pipeline() {
        let unreachable = asked(Severity::Warning, vec![Error::transient("connecting failed").code("U0250")]);
        let looked = Looked { found: Diagnostics::default(), files: 1, specs: Vec::new(), asked: vec![unreachable] };
        assert_eq!(
            github(&remarks(&looked)),
            "::error file=stock.yaml,title=U0250::stock: connecting failed (is Kafka running there? --brokers, \
             UNBATCH_KAFKA_BROKERS or `kafka.brokers` in unbatch.yaml name the address)\n\
             ::warning file=stock.yaml,title=U0299::stock: one copy only (add brokers)\n"
        );
    }

    #[test]
    fn warnings_of_systems_are_shown_and_only_errors_fail() {
        let warned = asked(Severity::Warning, Vec::new());
        let text = online_text(std::slice::from_ref(&warned), &Terminal::detect(true));
        assert_eq!(text, "warning[U0299]: stock: one copy only\n  help: add brokers\n");
        let other = Asked { pipeline: "prices".into(), ..asked(Severity::Warning, Vec::new()) };
        let both = online_text(&[asked(Severity::Warning, Vec::new()), other], &Terminal::detect(true));
        assert_eq!(both, "warning[U0299]: stock, prices: one copy only\n  help: add brokers\n");
        assert!(refusal(vec![warned]).is_none());
        assert_eq!(refusal(vec![asked(Severity::Error, Vec::new())]).map(|f| f.exit()), Some(Exit::Misconfigured));
        let unreachable = asked(Severity::Warning, vec![Error::transient("connecting failed")]);
        assert_eq!(refusal(vec![unreachable]).map(|f| f.exit()), Some(Exit::Unreachable));
    }
}
