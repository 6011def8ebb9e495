//! The forms of SQL that have words of their own: `case`, `in`, `between`, `like`, `extract`, `trim` and their kin.

use super::*;
use datafusion_common::ScalarValue;
use datafusion_physical_expr::expressions::{CaseExpr, IsNotNullExpr, IsNullExpr, in_list, like};
use sqlparser::ast::{CaseWhen, CeilFloorKind, DateTimeField, Interval, TrimWhereField, TypedString};
use unbatch_api::ColumnType;

impl Lowering<'_> {
    pub(super) fn form(&mut self, expr: &Expr, within: Range<usize>) -> Result {
        match expr {
            Expr::IsNull(inner) => Ok(null_test(self.lower(inner)?, false)),
            Expr::IsNotNull(inner) => Ok(null_test(self.lower(inner)?, true)),
            Expr::IsTrue(inner) => self.is_truth(inner, Some(true), false, within),
            Expr::IsNotTrue(inner) => self.is_truth(inner, Some(true), true, within),
            Expr::IsFalse(inner) => self.is_truth(inner, Some(false), false, within),
            Expr::IsNotFalse(inner) => self.is_truth(inner, Some(false), true, within),
            Expr::IsUnknown(inner) => self.is_truth(inner, None, false, within),
            Expr::IsNotUnknown(inner) => self.is_truth(inner, None, true, within),
            Expr::InList { expr, list, negated } => self.in_list(expr, list, *negated, within),
            Expr::Between { expr, negated, low, high } => self.between(expr, *negated, low, high, within),
            Expr::Like { negated, any: false, expr, pattern, escape_char: None } => {
                self.like(*negated, false, expr, pattern, within)
            }
            Expr::ILike { negated, any: false, expr, pattern, escape_char: None } => {
                self.like(*negated, true, expr, pattern, within)
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                self.case(operand.as_deref(), conditions, else_result.as_deref(), within)
            }
            Expr::InSubquery { .. }
            | Expr::Subquery(_)
            | Expr::Exists { .. }
            | Expr::AnyOp { .. }
            | Expr::AllOp { .. } => Err(many_rows(within)),
            _ => self.function_form(expr, within),
        }
    }

    /// Functions that SQL writes with words between their arguments.
    fn function_form(&mut self, expr: &Expr, within: Range<usize>) -> Result {
        let (name, args): (&str, Vec<&Expr>) = match expr {
            Expr::Extract { field, expr, .. } => {
                let field = Typed::literal(
                    ScalarValue::Utf8(Some(field.to_string().to_lowercase())),
                    super::super::kind::STRING,
                    within.clone(),
                );
                let time = self.lower(expr)?;
                return functions::call("date_part", vec![field, time], within.clone(), within, &self.input_schema());
            }
            Expr::Ceil { expr, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => ("ceil", vec![expr]),
            Expr::Floor { expr, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => {
                ("floor", vec![expr])
            }
            Expr::Position { expr, r#in } => ("strpos", vec![r#in, expr]),
            Expr::Substring { expr, substring_from: Some(from), substring_for, .. } => (
                "substr",
                [Some(expr), Some(from), substring_for.as_ref()].into_iter().flatten().map(|e| &**e).collect(),
            ),
            Expr::Trim { expr, trim_where, trim_what, trim_characters: None } => {
                let name = match trim_where {
                    Some(TrimWhereField::Leading) => "ltrim",
                    Some(TrimWhereField::Trailing) => "rtrim",
                    _ => "btrim",
                };
                (name, [Some(expr), trim_what.as_ref()].into_iter().flatten().map(|e| &**e).collect())
            }
            _ => return Err(unsupported(within, "this form of SQL")),
        };
        let args = args.into_iter().map(|arg| self.lower(arg)).collect::<Result<Vec<_>>>()?;
        functions::call(name, args, within.clone(), within, &self.input_schema())
    }

    /// `is true` and the like never give null.
    fn is_truth(&mut self, inner: &Expr, wanted: Option<bool>, negated: bool, within: Range<usize>) -> Result {
        let value = truth(self.lower(inner)?, "is")?;
        let wanted = Typed::literal(ScalarValue::Boolean(wanted), BOOL, within.clone());
        let op = if negated { Operator::IsDistinctFrom } else { Operator::IsNotDistinctFrom };
        comparison(op, value, wanted, within)
    }

    fn in_list(&mut self, expr: &Expr, list: &[Expr], negated: bool, within: Range<usize>) -> Result {
        let value = self.lower(expr)?;
        let items = list.iter().map(|item| self.lower(item)).collect::<Result<Vec<_>>>()?;
        let all: Vec<&Typed> = std::iter::once(&value).chain(&items).collect();
        let kind = match common(&all) {
            Some(Kind::Null) => BOOL,
            Some(kind) => kind,
            None => {
                let other = items.iter().find(|item| common(&[&value, item]).is_none()).unwrap_or(&value);
                return Err(does_not_take("in", &value, other, other.within.clone()));
            }
        };
        let is_constant = all.iter().all(|typed| typed.is_constant);
        let value = taken_for(value, kind)?;
        let items = items.into_iter().map(|item| Ok(taken_for(item, kind)?.expr)).collect::<Result<Vec<_>>>()?;
        let expr = in_list(value.expr, items, &negated, &self.input_schema());
        let expr = expr.map_err(|_| unsupported(within.clone(), "this list"))?;
        Typed { expr, kind: BOOL, within, is_constant }.folded()
    }

    fn between(&mut self, expr: &Expr, negated: bool, low: &Expr, high: &Expr, within: Range<usize>) -> Result {
        let (value, low, high) = (self.lower(expr)?, self.lower(low)?, self.lower(high)?);
        let (lower, upper, both) = match negated {
            false => (Operator::GtEq, Operator::LtEq, Op::And),
            true => (Operator::Lt, Operator::Gt, Op::Or),
        };
        let first = comparison(lower, value.clone(), low, within.clone())?;
        let second = comparison(upper, value, high, within.clone())?;
        logic(both, first, second, within)
    }

    fn like(&mut self, negated: bool, any_case: bool, expr: &Expr, pattern: &Expr, within: Range<usize>) -> Result {
        let (value, pattern) = (self.lower(expr)?, self.lower(pattern)?);
        let string = Kind::Of(ColumnType::String);
        let fits = |typed: &Typed| matches!(typed.kind, Kind::Null) || typed.kind == string;
        if !fits(&value) || !fits(&pattern) {
            return Err(does_not_take("like", &value, &pattern, within));
        }
        let is_constant = value.is_constant && pattern.is_constant;
        let (value, pattern) = (taken_for(value, string)?, taken_for(pattern, string)?);
        let expr = like(negated, any_case, value.expr, pattern.expr, &self.input_schema());
        let expr = expr.map_err(|_| unsupported(within.clone(), "this pattern"))?;
        Typed { expr, kind: BOOL, within, is_constant }.folded()
    }

    fn case(
        &mut self,
        operand: Option<&Expr>,
        conditions: &[CaseWhen],
        otherwise: Option<&Expr>,
        within: Range<usize>,
    ) -> Result {
        let operand = operand.map(|expr| self.lower(expr)).transpose()?;
        let mut branches = Vec::with_capacity(conditions.len());
        for CaseWhen { condition, result } in conditions {
            let when = self.lower(condition)?;
            let when = match &operand {
                Some(value) => {
                    let place = when.within.clone();
                    comparison(Operator::Eq, value.clone(), when, place)?
                }
                None => truth(when, "case when")?,
            };
            branches.push((when, self.lower(result)?));
        }
        let otherwise = otherwise.map(|expr| self.lower(expr)).transpose()?;
        case(branches, otherwise, within, &self.input_schema())
    }
}

/// The first branch whose condition holds; a branch that is not taken is not computed.
pub(super) fn case(
    branches: Vec<(Typed, Typed)>,
    otherwise: Option<Typed>,
    within: Range<usize>,
    schema: &Schema,
) -> Result {
    let results: Vec<&Typed> = branches.iter().map(|(_, then)| then).chain(&otherwise).collect();
    let Some(kind) = common(&results) else {
        let first = results[0];
        let other = results.iter().find(|r| common(&[first, r]).is_none()).unwrap_or(&first);
        return Err(does_not_take("case", first, other, other.within.clone()));
    };
    let is_constant = branches.iter().all(|(when, then)| when.is_constant && then.is_constant)
        && otherwise.as_ref().is_none_or(|typed| typed.is_constant);
    let mut pairs = Vec::with_capacity(branches.len());
    for (when, then) in branches {
        pairs.push((when.expr, taken_for(then, kind)?.expr));
    }
    let otherwise = otherwise.map(|typed| taken_for(typed, kind)).transpose()?.map(|typed| typed.expr);
    if kind == Kind::Null {
        return Ok(null(within));
    }
    let expr = CaseExpr::try_new(None, pairs, otherwise).map_err(|_| unsupported(within.clone(), "this case"))?;
    // the type is asked once here, so that it cannot differ later
    let fits = expr.data_type(schema).is_ok_and(|data_type| data_type == kind.to_arrow());
    if !fits {
        return Err(unsupported(within, "this case"));
    }
    Typed { expr: Arc::new(expr), kind, within, is_constant }.folded()
}

pub(super) fn coalesce(args: Vec<Typed>, within: Range<usize>, schema: &Schema) -> Result {
    let mut args = args;
    let Some(last) = args.pop() else { return Ok(null(within)) };
    if args.is_empty() {
        return Ok(last);
    }
    let branches = args.into_iter().map(|arg| (null_test(arg.clone(), true), arg)).collect();
    case(branches, Some(last), within, schema)
}

pub(super) fn null(within: Range<usize>) -> Typed {
    Typed::literal(ScalarValue::Null, Kind::Null, within)
}

/// `is null`, `is not null`.
pub(super) fn null_test(value: Typed, negated: bool) -> Typed {
    let expr: Arc<dyn PhysicalExpr> = match negated {
        true => Arc::new(IsNotNullExpr::new(value.expr)),
        false => Arc::new(IsNullExpr::new(value.expr)),
    };
    Typed { expr, kind: BOOL, ..value }
}

/// `date '2024-12-31'`
pub(super) fn typed_string(typed: &TypedString, within: Range<usize>) -> Result {
    let to = named(&typed.data_type).map_err(|_| unsupported(within.clone(), "this way of writing a value"))?;
    let value = literal(&typed.value.value, within.clone())?;
    match to {
        ColumnType::Date | ColumnType::Timestamp => taken_for(value, Kind::Of(to)),
        _ => cast(value, to, within),
    }
}

/// `interval '1 day'`, `interval '1' day`, `interval 1 day`
pub(super) fn interval_text(interval: &Interval) -> Option<String> {
    let value = match &*interval.value {
        Expr::Value(value) => match &value.value {
            sqlparser::ast::Value::SingleQuotedString(text) | sqlparser::ast::Value::Number(text, _) => text.clone(),
            _ => return None,
        },
        _ => return None,
    };
    if interval.last_field.is_some() || interval.leading_precision.is_some() {
        return None;
    }
    Some(match &interval.leading_field {
        Some(unit) => format!("{value} {unit}"),
        None => value,
    })
}
