//! Expressions.

use super::{Lower, children, is_statement, line, single};
use crate::code::ir::{Expr, Op};
use crate::text::blob;
use tree_sitter::Node;

impl Lower<'_> {
    pub(super) fn exprs(&mut self, node: Node<'_>) -> Vec<Expr> {
        children(node).into_iter().map(|n| self.expr(n)).collect()
    }

    fn field(&mut self, node: Node<'_>, names: &[&str]) -> Option<Expr> {
        let found = names.iter().find_map(|name| node.child_by_field_name(name))?;
        Some(self.expr(found))
    }

    pub(super) fn expr_inner(&mut self, node: Node<'_>) -> Expr {
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
            kind if is_statement(kind) => {
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
        if operator == "+" {
            return self.sum(node);
        }
        let left = self.field(node, &["left"]).unwrap_or(Expr::none());
        let right = self.field(node, &["right"]).unwrap_or(Expr::none());
        match operator {
            "<<" => Expr::Concat(vec![left, right]),
            "/" => Expr::Path(vec![left, right]),
            "%" => Expr::Concat(vec![left, right]),
            _ => Expr::Many(vec![left, right]),
        }
    }

    /// `a + b + c + …` leans to the left, as deep as it is long.
    fn sum(&mut self, node: Node<'_>) -> Expr {
        let mut parts = Vec::new();
        let mut at = node;
        loop {
            let operator = at.child_by_field_name("operator").or_else(|| at.child(1));
            let more = at.kind() == node.kind() && operator.is_some_and(|o| self.text(o) == "+");
            let (true, Some(left)) = (more, at.child_by_field_name("left")) else {
                let first = self.expr(at);
                parts.push(first);
                break;
            };
            let right = self.field(at, &["right"]).unwrap_or(Expr::none());
            parts.push(right);
            at = left;
        }
        parts.reverse();
        Expr::Concat(parts)
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
            given.push(Expr::Each(Box::new((**base).clone())));
        }
        let mut out = vec![result];
        for callback in callbacks {
            let scope = self.function(callback, String::new(), Some(Expr::Many(given.clone())));
            out.push(Expr::Name(format!("%ret{scope}")));
        }
        Expr::Many(out)
    }

    pub(super) fn string(&mut self, node: Node<'_>) -> Expr {
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

fn number(text: &str) -> i64 {
    let clean = text.replace('_', "");
    clean.strip_prefix("0x").map_or_else(
        || clean.trim().parse().unwrap_or(0),
        |hex| i64::from_str_radix(hex, 16).unwrap_or(0),
    )
}
