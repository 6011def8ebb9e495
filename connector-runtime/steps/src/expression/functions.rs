//! The functions that expressions may call: those of DataFusion that give the same result for the same row, under the names that
//! SQL databases have for them.

mod table;

mod exact;

pub(crate) use table::{FUNCTIONS, GROUPS};

use super::Fault;
use super::kind::{Kind, STRING};
use super::typed::{Typed, article, common, taken_for};
use datafusion_common::config::ConfigOptions;
use datafusion_expr::type_coercion::functions::fields_with_udf;
use datafusion_expr::{ScalarUDF, Volatility};
use datafusion_physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use unbatch_api::arrow::datatypes::{DataType, Field, Schema};

/// Everything that can be called, by name and other names.
fn known() -> &'static HashMap<&'static str, Arc<ScalarUDF>> {
    static KNOWN: OnceLock<HashMap<&'static str, Arc<ScalarUDF>>> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let all = datafusion_functions::all_default_functions();
        let find = |name: &str| all.iter().find(|f| f.name() == name || f.aliases().iter().any(|a| a == name));
        let mut known = HashMap::new();
        for function in FUNCTIONS {
            if let Some(udf) = find(function.name).filter(|udf| udf.signature().volatility == Volatility::Immutable) {
                known.insert(function.name, udf.clone());
            }
        }
        known
    })
}

/// Names that give another result each time they are asked, or from one run to the next.
const UNSTEADY: [&str; 14] = [
    "now",
    "current_timestamp",
    "current_date",
    "current_time",
    "localtimestamp",
    "localtime",
    "today",
    "getdate",
    "sysdate",
    "random",
    "rand",
    "uuid",
    "gen_random_uuid",
    "version",
];

/// Names of functions over many rows.
const OVER_ROWS: [&str; 24] = [
    "sum",
    "count",
    "avg",
    "mean",
    "min",
    "max",
    "median",
    "stddev",
    "var",
    "variance",
    "first_value",
    "last_value",
    "array_agg",
    "string_agg",
    "listagg",
    "group_concat",
    "row_number",
    "rank",
    "dense_rank",
    "lag",
    "lead",
    "ntile",
    "approx_distinct",
    "nth_value",
];

/// What a name stands for, or why it cannot be called.
pub(crate) fn check_name(name: &str, within: &Range<usize>) -> Result<(), Fault> {
    let fault = |code, message: String, label: String, help: String| Fault {
        within: within.clone(),
        code,
        message,
        label,
        help,
    };
    if UNSTEADY.contains(&name) {
        return Err(fault(
            "U0604",
            format!("`{name}` gives another result each time, and rows that are read again must come out the same"),
            "not the same each time".into(),
            "take the time from the row: meta.source_time, or a column of it; let whoever reads add its own".into(),
        ));
    }
    if OVER_ROWS.contains(&name) {
        return Err(fault(
            "U0608",
            format!("`{name}` works on many rows, and a step sees one row at a time"),
            "over many rows".into(),
            "compute it where the rows arrive; greatest and least choose among columns of one row".into(),
        ));
    }
    if known().contains_key(name) || table::is_built_in(name) {
        return Ok(());
    }
    let names = FUNCTIONS.iter().map(|f| f.name);
    let (label, help) = match crate::words::nearest(name, names) {
        Some(meant) => (format!("did you mean `{meant}`?"), format!("did you mean `{meant}`?")),
        None => ("unknown".to_owned(), "the page Steps of the documentation lists the functions there are".to_owned()),
    };
    Err(fault("U0603", format!("there is no function `{name}`"), label, help))
}

/// A call of a function of the table. `schema` has the inputs so far.
pub(crate) fn call(
    name: &str,
    args: Vec<Typed>,
    within: Range<usize>,
    word: Range<usize>,
    schema: &Schema,
) -> Result<Typed, Fault> {
    check_name(name, &word)?;
    let args = match exact::instead(name, args, &within, &word)? {
        exact::Instead::Done(typed) => return Typed { within, ..*typed }.folded(),
        exact::Instead::Call(args) => args,
    };
    let Some(udf) = known().get(name).cloned() else { return Err(wrong_arguments(name, &args, word)) };
    let args = unified(name, args)?;
    let field = |data_type: DataType| Arc::new(Field::new("", data_type, true));
    let fields: Vec<_> = args.iter().map(|arg| field(arg.kind.to_arrow())).collect();
    let Ok(wanted) = fields_with_udf(&fields, &*udf) else { return Err(wrong_arguments(name, &args, word)) };
    let is_constant = args.iter().all(|arg| arg.is_constant);
    let mut taken = Vec::with_capacity(args.len());
    for (arg, wanted) in args.iter().zip(&wanted) {
        let is_same = arg.kind.to_arrow() == *wanted.data_type();
        // DataFusion would read any text as a date or number, and fail row by row
        if arg.kind == STRING && arg.text().is_none() && !is_text(wanted.data_type()) {
            return Err(wrong_arguments(name, &args, word));
        }
        let arg = arg.clone();
        taken.push(if is_same { arg } else { cast_to(arg, wanted.data_type(), &within)? });
    }
    let exprs: Vec<Arc<dyn PhysicalExpr>> = taken.iter().map(|arg| arg.expr.clone()).collect();
    let Ok(expr) = ScalarFunctionExpr::try_new(udf, exprs, schema, config()) else {
        return Err(wrong_arguments(name, &args, word));
    };
    let result = expr.return_type().clone();
    exact::probe(name, &args, &expr, schema, &word)?;
    let typed = Typed { expr: Arc::new(expr), kind: Kind::Null, within, is_constant };
    typed.normalised(&result, &format!("`{name}`"))?.folded()
}

/// A constant stays one, since some functions decide on their result by it.
fn cast_to(arg: Typed, wanted: &DataType, within: &Range<usize>) -> Result<Typed, Fault> {
    let kind = super::kind::holding(wanted).unwrap_or(arg.kind);
    Typed { within: within.clone(), ..arg.turned_into(wanted, kind) }.folded()
}

/// Functions that choose among their arguments keep the exact type that all fit.
fn unified(name: &str, args: Vec<Typed>) -> Result<Vec<Typed>, Fault> {
    if !matches!(name, "greatest" | "least") {
        return Ok(args);
    }
    match common(&args.iter().collect::<Vec<_>>()) {
        Some(kind) => args.into_iter().map(|arg| taken_for(arg, kind)).collect(),
        None => Ok(args),
    }
}

fn config() -> Arc<ConfigOptions> {
    static CONFIG: OnceLock<Arc<ConfigOptions>> = OnceLock::new();
    CONFIG.get_or_init(|| Arc::new(ConfigOptions::default())).clone()
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// What it was given, and how it is called.
pub(crate) fn wrong_arguments(name: &str, args: &[Typed], word: Range<usize>) -> Fault {
    let given: Vec<String> = args.iter().map(|arg| article(arg.kind)).collect();
    let given = match given.split_last() {
        None => "no arguments".to_owned(),
        Some((last, [])) => last.clone(),
        Some((last, first)) => format!("{} and {last}", first.join(", ")),
    };
    let syntax = FUNCTIONS.iter().find(|f| f.name == name).map_or(name, |f| f.syntax);
    let text = args.iter().any(|arg| arg.kind == STRING);
    let cast = if text { "; texts are cast by hand: cast(… as date)" } else { "" };
    Fault {
        within: word,
        code: "U0606",
        message: format!("`{name}` does not take {given}"),
        label: format!("takes {syntax}"),
        help: format!("write {syntax}{cast}"),
    }
}
