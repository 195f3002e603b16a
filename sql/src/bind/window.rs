//! OVER: window functions and their windows.

use dosql_base::Result;

use super::binder::{Binder, Site};
use super::scope::Clause;
use super::typed::Bound;
use crate::func::{Function, Kind};
use crate::parse::ast::{self, ExprId, FrameUnit, FunctionCall, Id, Over, Span, WindowDefinition};
use crate::plan::{Expr, Frame, FrameBound, FrameExclude, Register, SortKey, WindowCall, WindowFunction};
use crate::value::Collation;

/// Window functions over one partitioning and order.
#[derive(Clone, Debug)]
pub(crate) struct WindowGroup {
    pub(crate) partition_by: Vec<(Expr, Collation)>,
    pub(crate) order_by: Vec<SortKey>,
    pub(crate) calls: Vec<WindowCall>,
}

/// A window as written, its base windows taken in.
#[derive(Clone, Default)]
struct Written {
    partition_by: ast::List<ExprId>,
    order_by: ast::List<ast::OrderTerm>,
    frame: Option<ast::Frame>,
}

impl<'a> Binder<'a> {
    pub(crate) fn window_call(
        &mut self,
        site: &Site<'a>,
        function: &'static Function,
        call: &FunctionCall,
        span: Span,
    ) -> Result<Bound> {
        let source = site.source.clone();
        let name = source.ast().text(call.name);
        let refuse = |message: String| Err(source.error(span, message));
        let misuse = || refuse(format!("misuse of window function {name}()"));
        let Some(scope) = site.scope else { return misuse() };
        if self.scopes[scope.0].clause != Clause::Result || self.scopes[scope.0].frame != site.frame {
            return misuse();
        }
        if call.distinct {
            return refuse("DISTINCT is not supported for window functions".to_owned());
        }
        let ranking = match function.kind {
            Kind::Window(kind) => WindowFunction::Ranking(kind),
            Kind::Aggregate(kind) => WindowFunction::Aggregate(kind),
            Kind::Scalar { .. } => return misuse(),
        };
        if !call.order_by.is_empty() {
            return refuse(format!("ORDER BY may not be used with non-aggregate {name}()"));
        }
        if call.filter.is_some() && matches!(ranking, WindowFunction::Ranking(_)) {
            return refuse("FILTER clause may only be used with aggregate window functions".to_owned());
        }
        let Some(over) = &call.over else { return misuse() };
        let written = self.window_of(site, over)?;
        let (group, bound) = self.in_clause(site, Clause::Window, |binder| {
            binder.window_parts(site, ranking, call, &written, span)
        })?;
        let output = self.register(site.frame);
        let bound = WindowCall { output, ..bound };
        let groups = &mut self.scope(scope).windows;
        match groups.iter_mut().find(|known| same_window(known, &group)) {
            Some(known) => known.calls.push(bound),
            None => groups.push(WindowGroup { calls: vec![bound], ..group }),
        }
        let mut result = Bound::plain(Expr::Register(output));
        result.json = function.json;
        Ok(result)
    }

    fn window_parts(
        &mut self,
        site: &Site<'a>,
        function: WindowFunction,
        call: &FunctionCall,
        written: &Written,
        span: Span,
    ) -> Result<(WindowGroup, WindowCall)> {
        let (arguments, collation, json) = self.arguments(site, call.arguments)?;
        let filter = call.filter.map(|filter| self.expr(site, filter)).transpose()?;
        let source = site.source.clone();
        let mut partition_by = Vec::new();
        for expr in source.ast().list(written.partition_by) {
            let bound = self.expr(site, *expr)?;
            partition_by.push((bound.expr.clone(), bound.collation()));
        }
        let order_by = self.sort_terms(site, written.order_by)?;
        let frame = self.frame(site, written.frame.as_ref(), order_by.len(), span)?;
        let filter = filter.map(|filter| filter.expr);
        let output = Register(0);
        let call = WindowCall { function, arguments, filter, frame, collation, json, output };
        Ok((WindowGroup { partition_by, order_by, calls: Vec::new() }, call))
    }

    fn window_of(&mut self, site: &Site<'a>, over: &Over) -> Result<Written> {
        match over {
            Over::Name(name) => {
                let ast = site.source.ast();
                let (text, span) = (ast.text(*name), ast[*name].span);
                self.named_window(site, text, span)
            }
            Over::Definition(id) => self.written_window(site, *id),
        }
    }

    fn named_window(&mut self, site: &Site<'a>, name: &str, span: Span) -> Result<Written> {
        let unknown = || site.source.error(span, format!("no such window: {name}"));
        let scope = site.scope.ok_or_else(unknown)?;
        let (source, list) = self.scopes[scope.0].window_definitions.clone().ok_or_else(unknown)?;
        let ast = source.ast();
        let named = |definition: &WindowDefinition| {
            definition.name.is_some_and(|own| ast.text(own).eq_ignore_ascii_case(name))
        };
        let at = ast.list(list).iter().position(named).ok_or_else(unknown)?;
        let definition = ast.list(list)[at].clone();
        let id = Id::new(list.start as usize + at);
        if self.scopes[scope.0].open_windows.contains(&id) {
            return Err(unknown());
        }
        self.scope(scope).open_windows.push(id);
        let written = self.merged_window(site, &definition);
        self.scope(scope).open_windows.pop();
        written
    }

    fn written_window(&mut self, site: &Site<'a>, id: Id<WindowDefinition>) -> Result<Written> {
        let definition = site.source.ast()[id].clone();
        self.merged_window(site, &definition)
    }

    /// A definition over its base: the base gives what the definition leaves out, and may not be contradicted.
    fn merged_window(&mut self, site: &Site<'a>, definition: &WindowDefinition) -> Result<Written> {
        let own = Written {
            partition_by: definition.partition_by,
            order_by: definition.order_by,
            frame: definition.frame.clone(),
        };
        let Some(base_name) = definition.base else { return Ok(own) };
        let source = site.source.clone();
        let (name, span) = (source.ast().text(base_name), source.ast()[base_name].span);
        let base = self.named_window(site, name, span)?;
        let clash = if !own.partition_by.is_empty() {
            Some("PARTITION clause")
        } else if !own.order_by.is_empty() && !base.order_by.is_empty() {
            Some("ORDER BY clause")
        } else if base.frame.is_some() {
            Some("frame specification")
        } else {
            None
        };
        if let Some(what) = clash {
            return Err(source.error(span, format!("cannot override {what} of window: {name}")));
        }
        let order_by = if own.order_by.is_empty() { base.order_by } else { own.order_by };
        Ok(Written { partition_by: base.partition_by, order_by, frame: own.frame })
    }

    fn frame(
        &mut self,
        site: &Site<'a>,
        written: Option<&ast::Frame>,
        order_terms: usize,
        span: Span,
    ) -> Result<Frame> {
        let Some(written) = written else {
            return Ok(Frame {
                unit: FrameUnit::Range,
                start: FrameBound::UnboundedPreceding,
                end: FrameBound::CurrentRow,
                exclude: FrameExclude::NoOthers,
            });
        };
        let offset = |bound: &ast::FrameBound| {
            matches!(bound, ast::FrameBound::Preceding(_) | ast::FrameBound::Following(_))
        };
        let refuse = |message: &str| Err(site.source.error(span, message));
        if written.unit == FrameUnit::Range
            && (offset(&written.start) || offset(&written.end))
            && order_terms != 1
        {
            return refuse("RANGE with offset PRECEDING/FOLLOWING requires one ORDER BY expression");
        }
        let rank = |bound: &ast::FrameBound| match bound {
            ast::FrameBound::UnboundedPreceding => 0,
            ast::FrameBound::Preceding(_) => 1,
            ast::FrameBound::CurrentRow => 2,
            ast::FrameBound::Following(_) => 3,
            ast::FrameBound::UnboundedFollowing => 4,
        };
        if rank(&written.start) == 4 || rank(&written.end) == 0 || rank(&written.start) > rank(&written.end) {
            return refuse("unsupported frame specification");
        }
        let start = self.frame_bound(site, &written.start)?;
        let end = self.frame_bound(site, &written.end)?;
        for (bound, what) in [(&start, "starting"), (&end, "ending")] {
            if let FrameBound::Preceding(offset) | FrameBound::Following(offset) = bound
                && (!offset.is_constant() || offset.has_subquery())
            {
                let number = if written.unit == FrameUnit::Range { "number" } else { "integer" };
                return refuse(&format!("frame {what} offset must be a non-negative {number}"));
            }
        }
        Ok(Frame { unit: written.unit, start, end, exclude: written.exclude })
    }

    fn frame_bound(&mut self, site: &Site<'a>, bound: &ast::FrameBound) -> Result<FrameBound> {
        Ok(match bound {
            ast::FrameBound::UnboundedPreceding => FrameBound::UnboundedPreceding,
            ast::FrameBound::Preceding(offset) => FrameBound::Preceding(self.expr(site, *offset)?.expr),
            ast::FrameBound::CurrentRow => FrameBound::CurrentRow,
            ast::FrameBound::Following(offset) => FrameBound::Following(self.expr(site, *offset)?.expr),
            ast::FrameBound::UnboundedFollowing => FrameBound::UnboundedFollowing,
        })
    }
}

fn same_window(a: &WindowGroup, b: &WindowGroup) -> bool {
    let same =
        |(x, c): &(Expr, Collation), (y, d): &(Expr, Collation)| c == d && x.same(y) && !x.is_volatile();
    a.partition_by.len() == b.partition_by.len()
        && a.partition_by.iter().zip(&b.partition_by).all(|(a, b)| same(a, b))
        && a.order_by.len() == b.order_by.len()
        && a.order_by.iter().zip(&b.order_by).all(|(a, b)| a.same(b) && !a.expr.is_volatile())
}
