//! Syntax trees of Python, JavaScript, TypeScript, Ruby and Go into the small language.
//!
//! The grammars name like things alike, so one walk serves all five; what differs is a match arm.

use super::ir::{Expr, Op, Program, Stmt};
use crate::text::blob;
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
        out: Program { stmts: Vec::new(), parents: vec![0] },
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
        }
    }

    fn statement(&mut self, node: Node<'_>) {
        if self.depth > MAX_NESTING {
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
                    self.push(Op::Assign(names, Expr::Many(vec![value])));
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
                    self.push(Op::Assign(names, Expr::Many(vec![value])));
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
            _ => {
                let value = self.expr(node);
                self.push(Op::Do(value));
            }
        }
    }

    fn assign(&mut self, left: Node<'_>, right: Node<'_>) -> Expr {
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

    fn import(&mut self, node: Node<'_>) {
        let plain =
            |text: &str| text.trim_matches(['"', '\'', '`']).trim_start_matches("node:").to_owned();
        if node.kind() == "import_from_statement" {
            let module =
                node.child_by_field_name("module_name").map_or("", |n| self.text(n)).to_owned();
            let mut cursor = node.walk();
            let names: Vec<Node<'_>> = node.children_by_field_name("name", &mut cursor).collect();
            for name in names {
                let (real, local) = self.aliased(name);
                self.push(Op::Alias(local, format!("{module}.{real}")));
            }
            return;
        }
        if let Some(source) = node.child_by_field_name("source") {
            let module = plain(self.text(source));
            self.import_clause(node, &module);
            return;
        }
        if node.kind() == "import_declaration" {
            let mut stack = children(node);
            while let Some(spec) = stack.pop() {
                if spec.kind() == "import_spec" {
                    let path = spec
                        .child_by_field_name("path")
                        .map(|n| plain(self.text(n)))
                        .unwrap_or_default();
                    let last = path.rsplit('/').next().unwrap_or("").to_owned();
                    if let Some(name) = spec.child_by_field_name("name") {
                        let name = self.text(name).to_owned();
                        self.push(Op::Alias(name, last));
                    }
                } else {
                    stack.extend(children(spec));
                }
            }
            return;
        }
        let mut cursor = node.walk();
        let names: Vec<Node<'_>> = node.children_by_field_name("name", &mut cursor).collect();
        for name in names {
            let (real, local) = self.aliased(name);
            if real != local {
                self.push(Op::Alias(local, real));
            }
        }
    }

    fn aliased(&self, node: Node<'_>) -> (String, String) {
        if node.kind() == "aliased_import" {
            let part =
                |field| node.child_by_field_name(field).map_or("", |n| self.text(n)).to_owned();
            return (part("name"), part("alias"));
        }
        let name = self.text(node).to_owned();
        (name.clone(), name)
    }

    fn import_clause(&mut self, node: Node<'_>, module: &str) {
        let mut stack = children(node);
        while let Some(part) = stack.pop() {
            match part.kind() {
                "identifier" => self.push(Op::Alias(self.text(part).to_owned(), module.to_owned())),
                "namespace_import" => {
                    if let Some(name) = part.named_child(0) {
                        self.push(Op::Alias(self.text(name).to_owned(), module.to_owned()));
                    }
                }
                "import_specifier" => {
                    let real =
                        part.child_by_field_name("name").map_or("", |n| self.text(n)).to_owned();
                    let local = part
                        .child_by_field_name("alias")
                        .map_or(real.clone(), |n| self.text(n).to_owned());
                    self.push(Op::Alias(local, format!("{module}.{real}")));
                }
                "string" => {}
                _ => stack.extend(children(part)),
            }
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

    fn exprs(&mut self, node: Node<'_>) -> Vec<Expr> {
        children(node).into_iter().map(|n| self.expr(n)).collect()
    }

    fn expr(&mut self, node: Node<'_>) -> Expr {
        if self.depth > MAX_NESTING {
            return Expr::none();
        }
        self.depth += 1;
        let out = self.expr_inner(node);
        self.depth -= 1;
        out
    }

    fn field(&mut self, node: Node<'_>, names: &[&str]) -> Option<Expr> {
        let found = names.iter().find_map(|name| node.child_by_field_name(name))?;
        Some(self.expr(found))
    }

    fn expr_inner(&mut self, node: Node<'_>) -> Expr {
        match node.kind() {
            "identifier"
            | "constant"
            | "global_variable"
            | "instance_variable"
            | "class_variable"
            | "this"
            | "self"
            | "shorthand_property_identifier"
            | "package_identifier"
            | "type_identifier"
            | "super" => Expr::Name(self.text(node).to_owned()),
            "integer" | "number" | "int_literal" => Expr::Num(number(self.text(node))),
            "unary_operator" | "unary_expression" | "unary" => {
                let text = self.text(node);
                if let Some(rest) = text.strip_prefix('-')
                    && rest.trim().bytes().all(|b| b.is_ascii_digit())
                {
                    return Expr::Num(-number(rest));
                }
                single(self.exprs(node))
            }
            "string"
            | "template_string"
            | "chained_string"
            | "concatenated_string"
            | "heredoc_body"
            | "bare_string"
            | "string_literal"
            | "delimited_symbol" => self.string(node),
            "interpreted_string_literal" => {
                let text = self.text(node);
                Expr::Str(blob::unescape(text.get(1..text.len().saturating_sub(1)).unwrap_or("")))
            }
            "raw_string_literal" | "rune_literal" => {
                Expr::Str(self.text(node).trim_matches(['`', '\'']).to_owned())
            }
            "simple_symbol" | "hash_key_symbol" => {
                Expr::Str(self.text(node).trim_start_matches(':').to_owned())
            }
            "subshell" if self.ruby => {
                let command = self.string(node);
                Expr::Call {
                    callee: Box::new(Expr::Name("`".into())),
                    args: vec![command],
                    line: line(node),
                }
            }
            "attribute" | "member_expression" | "selector_expression" | "scope_resolution" => {
                let object =
                    self.field(node, &["object", "operand", "scope"]).unwrap_or(Expr::none());
                let name = ["attribute", "property", "field", "name"]
                    .iter()
                    .find_map(|f| node.child_by_field_name(f))
                    .map_or("", |n| self.text(n));
                let separator = if node.kind() == "scope_resolution" { "::" } else { "" };
                if let (Expr::Name(base), false) = (&object, separator.is_empty()) {
                    return Expr::Name(format!("{base}{separator}{name}"));
                }
                Expr::Member(Box::new(object), name.to_owned())
            }
            "subscript" | "subscript_expression" | "index_expression" | "element_reference" => {
                let parts = self.exprs(node);
                let mut parts = parts.into_iter();
                let base = parts.next().unwrap_or(Expr::none());
                let index = parts.next().unwrap_or(Expr::none());
                Expr::Index(Box::new(base), Box::new(index))
            }
            "slice" => {
                // `[::-1]` turns text round.
                let text: String = self.text(node).split_whitespace().collect();
                if text == "::-1" { Expr::Str("::-1".into()) } else { Expr::none() }
            }
            "binary_operator" | "binary_expression" | "binary" | "boolean_operator" => {
                self.binary(node)
            }
            "call" | "call_expression" | "new_expression" | "command_call" => self.call(node),
            "assignment"
            | "assignment_expression"
            | "augmented_assignment"
            | "augmented_assignment_expression"
            | "operator_assignment"
            | "short_var_declaration"
            | "assignment_statement"
            | "named_expression" => {
                let left =
                    node.child_by_field_name("left").or_else(|| node.child_by_field_name("name"));
                let right =
                    node.child_by_field_name("right").or_else(|| node.child_by_field_name("value"));
                match (left, right) {
                    (Some(left), Some(right))
                        if node.kind().contains("aug") || node.kind() == "operator_assignment" =>
                    {
                        let add = self.expr(right);
                        let names = self.targets(left);
                        let base = names.first().cloned().map_or(Expr::none(), Expr::Name);
                        self.push(Op::Assign(names, Expr::Concat(vec![base.clone(), add])));
                        base
                    }
                    (Some(left), Some(right)) => self.assign(left, right),
                    _ => Expr::none(),
                }
            }
            "variable_declarator" | "var_spec" | "const_spec" => {
                self.statement_inner(node);
                Expr::none()
            }
            "as_pattern" => {
                let value = node.named_child(0).map(|n| self.expr(n)).unwrap_or(Expr::none());
                if let Some(alias) = node.child_by_field_name("alias") {
                    let names: Vec<String> = vec![self.text(alias).to_owned()];
                    self.push(Op::Assign(names, value));
                    return Expr::none();
                }
                value
            }
            "arrow_function"
            | "function_expression"
            | "lambda"
            | "func_literal"
            | "generator_function" => {
                let scope = self.function(node, String::new(), None);
                Expr::Name(format!("%ret{scope}"))
            }
            "list"
            | "array"
            | "tuple"
            | "expression_list"
            | "composite_literal"
            | "literal_value"
            | "string_array"
            | "right_assignment_list"
            | "pattern_list" => Expr::List(self.exprs(node)),
            "parenthesized_expression"
            | "await"
            | "await_expression"
            | "spread_element"
            | "literal_element"
            | "non_null_expression"
            | "as_expression"
            | "satisfies_expression"
            | "parenthesized_statements"
            | "expression_statement"
            | "type_conversion_expression"
            | "splat_argument"
            | "list_splat"
            | "dictionary_splat" => node.named_child(0).map_or(Expr::none(), |n| self.expr(n)),
            "keyword_argument" | "pair" | "keyed_element" | "keyword_parameter" => {
                let value = node.child_by_field_name("value").or_else(|| node.named_child(1));
                value.map_or(Expr::none(), |n| self.expr(n))
            }
            "ERROR" | "statement_block" | "block" | "do_block" | "class_body" => {
                self.statement(node);
                Expr::none()
            }
            kind if kind.ends_with("_statement")
                || kind.ends_with("_declaration")
                || kind.ends_with("_definition") =>
            {
                self.statement(node);
                Expr::none()
            }
            "comment" | "regex" | "regex_pattern" => Expr::none(),
            "conditional_expression" | "ternary_expression" | "conditional" => {
                self.conditional += 1;
                let parts = self.exprs(node);
                self.conditional -= 1;
                Expr::Many(parts)
            }
            "list_comprehension"
            | "generator_expression"
            | "set_comprehension"
            | "dictionary_comprehension" => {
                for child in children(node) {
                    if child.kind() == "for_in_clause" {
                        self.statement(child);
                    }
                }
                Expr::Many(
                    children(node)
                        .into_iter()
                        .filter(|c| c.kind() != "for_in_clause")
                        .map(|n| self.expr(n))
                        .collect(),
                )
            }
            _ => Expr::Many(self.exprs(node)),
        }
    }

    fn binary(&mut self, node: Node<'_>) -> Expr {
        let operator = node
            .child_by_field_name("operator")
            .map_or_else(|| node.child(1).map_or("", |n| self.text(n)), |n| self.text(n));
        let left = self.field(node, &["left"]).unwrap_or(Expr::none());
        let right = self.field(node, &["right"]).unwrap_or(Expr::none());
        match operator {
            "+" | "<<" => Expr::Concat(vec![left, right]),
            "/" => Expr::Path(vec![left, right]),
            "%" => Expr::Concat(vec![left, right]),
            _ => Expr::Many(vec![left, right]),
        }
    }

    fn call(&mut self, node: Node<'_>) -> Expr {
        let at = line(node);
        let callee = if let Some(method) = node.child_by_field_name("method") {
            let name = self.text(method).to_owned();
            match self.field(node, &["receiver"]) {
                Some(receiver) => Expr::Member(Box::new(receiver), name),
                None => Expr::Name(name),
            }
        } else {
            self.field(node, &["function", "constructor"]).unwrap_or(Expr::none())
        };
        let mut args = Vec::new();
        let mut callbacks = Vec::new();
        let list = node.child_by_field_name("arguments").map(children).unwrap_or_default();
        for arg in list {
            if matches!(
                arg.kind(),
                "arrow_function" | "function_expression" | "lambda" | "func_literal"
            ) {
                callbacks.push(arg);
            } else {
                let value = self.expr(arg);
                args.push(value);
            }
        }
        if let Some(block) = node.child_by_field_name("block") {
            callbacks.push(block);
        }
        if callbacks.is_empty() {
            if let (Expr::Name(name), [Expr::Str(module)]) = (&callee, args.as_slice())
                && matches!(name.as_str(), "require" | "__import__" | "import")
            {
                return Expr::Name(module.trim_start_matches("node:").to_owned());
            }
            if let (Expr::Name(name), [inner @ (Expr::Name(_) | Expr::Member(..))]) =
                (&callee, args.as_slice())
                && name.ends_with("promisify")
            {
                return inner.clone();
            }
            if let (Expr::Member(_, name), [inner @ (Expr::Name(_) | Expr::Member(..))]) =
                (&callee, args.as_slice())
                && name == "promisify"
            {
                return inner.clone();
            }
            return Expr::Call { callee: Box::new(callee), args, line: at };
        }
        // What a callback receives is what the call was made on, and its other arguments.
        let callee = match callee {
            Expr::Member(base, name) if !matches!(*base, Expr::Name(_)) => {
                Expr::Member(Box::new(self.temp(*base)), name)
            }
            other => other,
        };
        let result = self.temp(Expr::Call {
            callee: Box::new(callee.clone()),
            args: args.clone(),
            line: at,
        });
        let mut given = vec![result.clone()];
        if let Expr::Member(base, _) = &callee {
            given.push((**base).clone());
        }
        let mut out = vec![result];
        for callback in callbacks {
            let scope = self.function(callback, String::new(), Some(Expr::Many(given.clone())));
            out.push(Expr::Name(format!("%ret{scope}")));
        }
        Expr::Many(out)
    }

    fn string(&mut self, node: Node<'_>) -> Expr {
        let mut parts = Vec::new();
        let mut cursor = node.walk();
        let all: Vec<Node<'_>> = node.children(&mut cursor).collect();
        if !all.iter().any(Node::is_named) {
            let text = self.text(node).trim_start_matches(|c: char| c.is_ascii_alphabetic());
            return Expr::Str(text.trim_matches(['"', '\'', '`']).to_owned());
        }
        let raw = self
            .text(node)
            .get(..2)
            .is_some_and(|p| p.contains(['r', 'R']) && p.contains(['"', '\'']));
        for child in all {
            match child.kind() {
                "string_start" | "string_end" | "\"" | "'" | "`" | "heredoc_end" => {}
                "string_content" | "string_fragment" | "escape_sequence" | "heredoc_content" => {
                    let text = self.text(child);
                    let text = if raw { text.to_owned() } else { blob::unescape(text) };
                    match parts.last_mut() {
                        Some(Expr::Str(last)) => last.push_str(&text),
                        _ => parts.push(Expr::Str(text)),
                    }
                }
                "interpolation" | "template_substitution" => {
                    let inner =
                        child.child_by_field_name("expression").or_else(|| child.named_child(0));
                    let value = inner.map_or(Expr::none(), |n| self.expr(n));
                    parts.push(value);
                }
                "string" | "chained_string" | "concatenated_string" => {
                    let value = self.string(child);
                    parts.push(value);
                }
                _ => {}
            }
        }
        match parts.len() {
            0 => Expr::Str(String::new()),
            1 => parts.pop().unwrap_or(Expr::none()),
            _ => Expr::Concat(parts),
        }
    }
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

fn number(text: &str) -> i64 {
    let clean = text.replace('_', "");
    clean.strip_prefix("0x").map_or_else(
        || clean.trim().parse().unwrap_or(0),
        |hex| i64::from_str_radix(hex, 16).unwrap_or(0),
    )
}
