//! Syntax trees of Python, JavaScript, TypeScript, Ruby and Go into the small language.
//!
//! The grammars name like things alike, so one walk serves all five; what differs is a match arm.

mod expr;
mod import;

use super::ir::{Expr, Op, Program, Stmt};
use tree_sitter::Node;

/// Deeper nesting is opaque: hostile input must not exhaust the stack.
const MAX_NESTING: usize = 150;
/// Most statements of one file.
const MAX_STMTS: usize = 60_000;

pub(crate) struct Lower<'s> {
    source: &'s str,
    ruby: bool,
    out: Program,
    scope: usize,
    conditional: usize,
    depth: usize,
    temps: usize,
}

pub(crate) fn lower(root: Node<'_>, source: &str, ruby: bool) -> Program {
    let mut lower = Lower {
        source,
        ruby,
        out: Program { stmts: Vec::new(), parents: vec![0], cut: None },
        scope: 0,
        conditional: 0,
        depth: 0,
        temps: 0,
    };
    lower.statement(root);
    lower.out
}

fn children(node: Node<'_>) -> Vec<Node<'_>> {
    let mut cursor = node.walk();
    node.named_children(&mut cursor).filter(|n| n.kind() != "comment").collect()
}

fn line(node: Node<'_>) -> u32 {
    u32::try_from(node.start_position().row + 1).unwrap_or(u32::MAX)
}

impl<'s> Lower<'s> {
    fn text(&self, node: Node<'_>) -> &'s str {
        self.source.get(node.byte_range()).unwrap_or("")
    }

    fn push(&mut self, op: Op) {
        if self.out.stmts.len() < MAX_STMTS {
            self.out.stmts.push(Stmt { scope: self.scope, conditional: self.conditional > 0, op });
        } else {
            self.out.cut.get_or_insert("has more statements than are followed");
        }
    }

    fn statement(&mut self, node: Node<'_>) {
        if self.depth > MAX_NESTING {
            self.out.cut.get_or_insert("is nested deeper than is followed");
            return;
        }
        self.depth += 1;
        self.statement_inner(node);
        self.depth -= 1;
    }

    fn block(&mut self, node: Node<'_>) {
        for child in children(node) {
            self.statement(child);
        }
    }

    fn statement_inner(&mut self, node: Node<'_>) {
        match node.kind() {
            "import_statement" | "import_from_statement" | "import_declaration" => {
                self.import(node)
            }
            "function_definition"
            | "function_declaration"
            | "generator_function_declaration"
            | "method_definition"
            | "method_declaration"
            | "method"
            | "singleton_method" => {
                let name = node.child_by_field_name("name").map(|n| self.text(n).to_owned());
                self.function(node, name.unwrap_or_default(), None);
            }
            "return_statement" | "return" => {
                let values: Vec<Expr> = children(node).into_iter().map(|n| self.expr(n)).collect();
                self.push(Op::Return(single(values)));
            }
            "if_statement"
            | "if"
            | "unless"
            | "elif_clause"
            | "else_clause"
            | "elsif"
            | "else"
            | "while_statement"
            | "while"
            | "until"
            | "switch_statement"
            | "expression_switch_statement"
            | "case"
            | "match_statement"
            | "except_clause"
            | "catch_clause"
            | "rescue"
            | "if_modifier"
            | "unless_modifier" => {
                self.conditional += 1;
                for child in children(node) {
                    self.statement(child);
                }
                self.conditional -= 1;
            }
            "for_statement" | "for_in_statement" | "for" | "for_in_clause" => {
                let left = node
                    .child_by_field_name("left")
                    .or_else(|| node.child_by_field_name("pattern"));
                let right =
                    node.child_by_field_name("right").or_else(|| node.child_by_field_name("value"));
                if let (Some(left), Some(right)) = (left, right) {
                    let value = self.expr(right);
                    let names = self.targets(left);
                    self.push(Op::Assign(names, Expr::Each(Box::new(value))));
                }
                self.conditional += 1;
                for child in children(node) {
                    if Some(child) != left && Some(child) != right {
                        self.statement(child);
                    }
                }
                self.conditional -= 1;
            }
            "range_clause" => {
                if let (Some(left), Some(right)) =
                    (node.child_by_field_name("left"), node.child_by_field_name("right"))
                {
                    let value = self.expr(right);
                    let names = self.targets(left);
                    self.push(Op::Assign(names, Expr::Each(Box::new(value))));
                }
            }
            "class_definition"
            | "class_declaration"
            | "class"
            | "module"
            | "class_body"
            | "body_statement"
            | "program"
            | "source_file"
            | "block"
            | "statement_block"
            | "then"
            | "do"
            | "ensure"
            | "expression_statement"
            | "try_statement"
            | "finally_clause"
            | "begin"
            | "decorated_definition"
            | "lexical_declaration"
            | "variable_declaration"
            | "var_declaration"
            | "const_declaration"
            | "var_spec_list"
            | "export_statement"
            | "labeled_statement"
            | "switch_body"
            | "switch_case"
            | "switch_default"
            | "expression_case"
            | "default_case"
            | "case_clause"
            | "when"
            | "with_statement"
            | "with_clause"
            | "statement_list"
            | "go_statement"
            | "defer_statement"
            | "await"
            | "for_clause"
            | "declaration"
            | "ambient_declaration"
            | "internal_module"
            | "module_body"
            | "class_static_block"
            | "begin_block"
            | "end_block"
            // What a grammar cannot read may still run: another version of the language, or a
            // disguise. The readable parts inside count.
            | "ERROR" => self.block(node),
            "with_item" => {
                if let Some(inner) =
                    node.child_by_field_name("value").or_else(|| node.named_child(0))
                {
                    let value = self.expr(inner);
                    self.push(Op::Do(value));
                }
            }
            "public_field_definition"
            | "field_definition"
            | "variable_declarator"
            | "var_spec"
            | "const_spec" => {
                let left = node
                    .child_by_field_name("name")
                    .or_else(|| node.child_by_field_name("property"));
                if let (Some(left), Some(right)) = (left, node.child_by_field_name("value")) {
                    self.assign(left, right);
                }
            }
            // `raise`, `throw`, `assert`, …: what is in them is evaluated.
            kind if is_statement(kind) => {
                let values = self.exprs(node);
                self.push(Op::Do(Expr::Many(values)));
            }
            _ => {
                let value = self.expr(node);
                self.push(Op::Do(value));
            }
        }
    }

    fn assign(&mut self, left: Node<'_>, right: Node<'_>) -> Expr {
        // `socket.onmessage = (event) => …`: what the handler gets comes from the socket.
        if left.kind() == "member_expression"
            && matches!(right.kind(), "arrow_function" | "function_expression")
            && let (Some(object), Some(property)) =
                (left.child_by_field_name("object"), left.child_by_field_name("property"))
            && self.text(property).starts_with("on")
        {
            let given = self.expr(object);
            let scope = self.function(right, String::new(), Some(given));
            return Expr::Name(format!("%ret{scope}"));
        }
        let value = self.expr(right);
        // `const { exec: run } = require("child_process")`.
        if let Expr::Name(module) = &value
            && matches!(left.kind(), "object_pattern")
        {
            for child in children(left) {
                let (key, local) = match child.kind() {
                    "pair_pattern" => (
                        child.child_by_field_name("key").map(|n| self.text(n)),
                        child.child_by_field_name("value").map(|n| self.text(n)),
                    ),
                    _ => (Some(self.text(child)), Some(self.text(child))),
                };
                if let (Some(key), Some(local)) = (key, local) {
                    self.push(Op::Alias(local.to_owned(), format!("{module}.{key}")));
                }
            }
            return value;
        }
        // Element by element where both sides are lists of the same length.
        if let (true, Expr::List(values)) = (is_list(left), &value) {
            let parts = children(left);
            if parts.len() == values.len() {
                let values = values.clone();
                for (part, value) in parts.into_iter().zip(values) {
                    let names = self.targets(part);
                    self.push(Op::Assign(names, value));
                }
                return Expr::none();
            }
        }
        let names = self.targets(left);
        if names.is_empty() {
            self.push(Op::Do(value));
            return Expr::none();
        }
        let first = names.first().cloned().unwrap_or_default();
        self.push(Op::Assign(names, value));
        Expr::Name(first)
    }

    /// Names that an assignment to `node` changes.
    fn targets(&mut self, node: Node<'_>) -> Vec<String> {
        match node.kind() {
            "identifier"
            | "constant"
            | "global_variable"
            | "instance_variable"
            | "class_variable"
            | "shorthand_property_identifier_pattern"
            | "property_identifier"
            | "private_property_identifier" => {
                vec![self.text(node).to_owned()]
            }
            "attribute" | "member_expression" | "selector_expression" => {
                vec![self.text(node).split_whitespace().collect::<String>()]
            }
            // Writing one element taints the whole.
            "subscript" | "subscript_expression" | "index_expression" | "element_reference" => {
                node.named_child(0).map(|n| self.targets(n)).unwrap_or_default()
            }
            "pair_pattern" => {
                node.child_by_field_name("value").map(|n| self.targets(n)).unwrap_or_default()
            }
            "assignment_pattern" | "object_assignment_pattern" => {
                node.child_by_field_name("left").map(|n| self.targets(n)).unwrap_or_default()
            }
            _ => children(node).into_iter().take(64).flat_map(|n| self.targets(n)).collect(),
        }
    }

    /// Lowers a function's body in a scope of its own; `given` flows into its parameters.
    fn function(&mut self, node: Node<'_>, name: String, given: Option<Expr>) -> usize {
        let scope = self.out.parents.len();
        self.out.parents.push(self.scope);
        let mut params = Vec::new();
        for field in ["parameters", "parameter"] {
            if let Some(list) = node.child_by_field_name(field) {
                for child in if field == "parameter" { vec![list] } else { children(list) } {
                    let inner = child
                        .child_by_field_name("name")
                        .or_else(|| child.child_by_field_name("pattern"))
                        .or_else(|| child.child_by_field_name("left"))
                        .unwrap_or(child);
                    params.extend(self.targets(inner));
                }
            }
        }
        params.retain(|p| p != "self" && p != "cls");
        self.push(Op::Function(name, scope, params.clone()));
        let (outer_scope, outer_conditional) = (self.scope, self.conditional);
        (self.scope, self.conditional) = (scope, 0);
        if let Some(given) = given.filter(|_| !params.is_empty()) {
            self.push(Op::Assign(params, given));
        }
        if let Some(body) = node.child_by_field_name("body") {
            if matches!(body.kind(), "block" | "statement_block" | "body_statement" | "block_body")
            {
                self.block(body);
            } else if node.kind() == "method" || node.kind() == "singleton_method" {
                self.statement(body);
            } else {
                let value = self.expr(body);
                self.push(Op::Return(value));
            }
        } else {
            for child in children(node) {
                if !matches!(
                    child.kind(),
                    "method_parameters" | "block_parameters" | "identifier" | "constant"
                ) {
                    self.statement(child);
                }
            }
        }
        (self.scope, self.conditional) = (outer_scope, outer_conditional);
        scope
    }

    fn temp(&mut self, value: Expr) -> Expr {
        if matches!(value, Expr::Name(_) | Expr::Str(_) | Expr::Num(_)) {
            return value;
        }
        self.temps += 1;
        let name = format!("%{}", self.temps);
        self.push(Op::Assign(vec![name.clone()], value));
        Expr::Name(name)
    }

    fn expr(&mut self, node: Node<'_>) -> Expr {
        if self.depth > MAX_NESTING {
            self.out.cut.get_or_insert("is nested deeper than is followed");
            return Expr::none();
        }
        self.depth += 1;
        let out = self.expr_inner(node);
        self.depth -= 1;
        out
    }
}

/// A statement by the name of its kind; Go's assignments are written as expressions here.
fn is_statement(kind: &str) -> bool {
    ["_statement", "_declaration", "_definition"].iter().any(|e| kind.ends_with(e))
        && !matches!(kind, "assignment_statement" | "short_var_declaration")
}

fn is_list(node: Node<'_>) -> bool {
    matches!(
        node.kind(),
        "pattern_list"
            | "tuple_pattern"
            | "list_pattern"
            | "expression_list"
            | "array_pattern"
            | "left_assignment_list"
            | "tuple"
    )
}

fn single(mut values: Vec<Expr>) -> Expr {
    if values.len() == 1 { values.pop().unwrap_or(Expr::none()) } else { Expr::Many(values) }
}
