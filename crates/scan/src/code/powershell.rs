//! PowerShell into the small language. Names are lower-cased and aliases resolved, because
//! PowerShell itself does so.

use super::ir::{Expr, Op, Program, Stmt};
use tree_sitter::Node;

const MAX_NESTING: usize = 150;

const ALIASES: &[(&str, &str)] = &[
    ("iex", "invoke-expression"),
    ("iwr", "invoke-webrequest"),
    ("irm", "invoke-restmethod"),
    ("curl", "invoke-webrequest"),
    ("wget", "invoke-webrequest"),
    ("saps", "start-process"),
    ("start", "start-process"),
    ("icm", "invoke-command"),
    ("ii", "invoke-item"),
    ("gc", "get-content"),
    ("cat", "get-content"),
    ("type", "get-content"),
    ("sc", "set-content"),
    ("ac", "add-content"),
    ("ri", "remove-item"),
    ("rm", "remove-item"),
    ("del", "remove-item"),
    ("sp", "set-itemproperty"),
    ("cp", "copy-item"),
    ("gcb", "get-clipboard"),
    ("ipmo", "import-module"),
];

struct Lower<'s> {
    source: &'s str,
    stmts: Vec<Stmt>,
    depth: usize,
    cut: Option<&'static str>,
}

pub(crate) fn lower(root: Node<'_>, source: &str) -> Program {
    let mut lower = Lower { source, stmts: Vec::new(), depth: 0, cut: None };
    lower.statements(root);
    Program { stmts: lower.stmts, parents: vec![0], cut: lower.cut }
}

fn children(node: Node<'_>) -> Vec<Node<'_>> {
    let mut cursor = node.walk();
    node.named_children(&mut cursor).filter(|n| n.kind() != "comment").collect()
}

impl<'s> Lower<'s> {
    fn text(&self, node: Node<'_>) -> &'s str {
        self.source.get(node.byte_range()).unwrap_or("")
    }

    fn push(&mut self, op: Op) {
        if self.stmts.len() < 60_000 {
            self.stmts.push(Stmt { scope: 0, conditional: false, op });
        }
    }

    fn statements(&mut self, node: Node<'_>) {
        if self.depth > MAX_NESTING {
            self.cut.get_or_insert("is nested deeper than is followed");
            return;
        }
        self.depth += 1;
        match node.kind() {
            "pipeline" | "assignment_expression" => {
                let value = self.expr(node, None);
                self.push(Op::Do(value));
            }
            _ => {
                for child in children(node) {
                    self.statements(child);
                }
            }
        }
        self.depth -= 1;
    }

    fn expr(&mut self, node: Node<'_>, piped: Option<Expr>) -> Expr {
        if self.depth > MAX_NESTING {
            self.cut.get_or_insert("is nested deeper than is followed");
            return Expr::none();
        }
        self.depth += 1;
        let out = self.expr_inner(node, piped);
        self.depth -= 1;
        out
    }

    fn expr_inner(&mut self, node: Node<'_>, piped: Option<Expr>) -> Expr {
        match node.kind() {
            "pipeline" | "pipeline_chain" | "pipeline_chain_tail" => {
                let mut value = piped;
                for child in children(node) {
                    value = Some(self.expr(child, value));
                }
                value.unwrap_or(Expr::none())
            }
            "command" => self.command(node, piped),
            "assignment_expression" => {
                let parts = children(node);
                let name = parts.first().map_or("", |n| self.text(*n)).trim().to_ascii_lowercase();
                let value = parts.last().map(|n| self.expr(*n, None)).unwrap_or(Expr::none());
                let env = name.starts_with("$env:");
                self.push(Op::Assign(vec![name.clone()], value));
                if env { Expr::none() } else { Expr::Name(name) }
            }
            "variable" | "braced_variable" => {
                let name = self.text(node).to_ascii_lowercase();
                match name.strip_prefix("$env:") {
                    Some(var) => {
                        Expr::Member(Box::new(Expr::Name("env:".into())), var.to_ascii_uppercase())
                    }
                    None => Expr::Name(name),
                }
            }
            "string_literal"
            | "expandable_string_literal"
            | "verbatim_string_characters"
            | "expandable_here_string_literal"
            | "verbatim_here_string_characters" => {
                let inner: Vec<Node<'_>> = children(node);
                if inner.len() == 1 && node.kind() == "string_literal" {
                    return inner.first().map_or(Expr::none(), |n| self.expr(*n, None));
                }
                let text = self.text(node);
                let text = text
                    .trim_start_matches("@\"")
                    .trim_end_matches("\"@")
                    .trim_matches(['"', '\'']);
                let variables: Vec<Expr> = inner
                    .into_iter()
                    .filter(|n| matches!(n.kind(), "variable" | "sub_expression"))
                    .map(|n| self.expr(n, None))
                    .collect();
                if variables.is_empty() {
                    return Expr::Str(text.replace('`', ""));
                }
                let mut parts = vec![Expr::Str(text.replace('`', ""))];
                parts.push(Expr::Many(variables));
                Expr::Concat(parts)
            }
            "integer_literal" | "decimal_integer_literal" => {
                Expr::Num(self.text(node).parse().unwrap_or(0))
            }
            "invokation_expression" | "invokation_foreach_expression" | "member_access" => {
                self.member(node)
            }
            "element_access" => {
                let parts: Vec<Expr> =
                    children(node).into_iter().map(|n| self.expr(n, None)).collect();
                let mut parts = parts.into_iter();
                let (base, index) =
                    (parts.next().unwrap_or(Expr::none()), parts.next().unwrap_or(Expr::none()));
                Expr::Index(Box::new(base), Box::new(index))
            }
            "type_literal" => Expr::Name(self.text(node).to_ascii_lowercase()),
            "additive_expression" | "additive_argument_expression" if children(node).len() > 1 => {
                Expr::Concat(children(node).into_iter().map(|n| self.expr(n, None)).collect())
            }
            "generic_token" | "command_name" | "path_command_name" | "simple_name" => {
                Expr::Str(self.text(node).to_owned())
            }
            "array_literal_expression" | "array_expression" if children(node).len() > 1 => {
                Expr::List(children(node).into_iter().map(|n| self.expr(n, None)).collect())
            }
            "script_block_expression" | "script_block" | "statement_list" => {
                self.statements(node);
                Expr::none()
            }
            _ => {
                let mut parts: Vec<Expr> =
                    children(node).into_iter().map(|n| self.expr(n, None)).collect();
                if parts.len() == 1 {
                    parts.pop().unwrap_or(Expr::none())
                } else {
                    Expr::Many(parts)
                }
            }
        }
    }

    fn member(&mut self, node: Node<'_>) -> Expr {
        let line = u32::try_from(node.start_position().row + 1).unwrap_or(u32::MAX);
        let parts = children(node);
        let base = parts.first().map(|n| self.expr(*n, None)).unwrap_or(Expr::none());
        let name = parts
            .iter()
            .find(|n| n.kind() == "member_name")
            .map_or("", |n| self.text(*n))
            .trim_matches(['"', '\''])
            .to_ascii_lowercase();
        let args: Vec<Expr> = parts
            .iter()
            .filter(|n| n.kind() == "argument_list")
            .flat_map(|n| children(*n))
            .flat_map(children)
            .map(|n| self.expr(n, None))
            .collect();
        let member = Expr::Member(Box::new(base), name);
        if node.kind() == "member_access" {
            member
        } else {
            Expr::Call { callee: Box::new(member), args, line }
        }
    }

    fn command(&mut self, node: Node<'_>, piped: Option<Expr>) -> Expr {
        let line = u32::try_from(node.start_position().row + 1).unwrap_or(u32::MAX);
        let name_node = node.child_by_field_name("command_name");
        let name = name_node
            .map_or("", |n| self.text(n))
            .trim_matches(['"', '\'', '&', ' '])
            .replace('`', "")
            .to_ascii_lowercase();
        let name = ALIASES
            .iter()
            .find(|(alias, _)| *alias == name)
            .map_or(name.clone(), |(_, real)| (*real).to_owned());
        let mut words = Vec::new();
        if let Some(elements) = node.child_by_field_name("command_elements") {
            for child in children(elements) {
                match child.kind() {
                    "command_argument_sep" => {}
                    "command_parameter" => {
                        words.push((true, Expr::Str(self.text(child).to_owned())))
                    }
                    _ => {
                        let value = self.expr(child, None);
                        words.push((false, value));
                    }
                }
            }
        }
        if name == "new-object" {
            let kind = words.iter().find_map(|(_, w)| match w {
                Expr::Str(text) if !text.starts_with('-') => Some(text.to_ascii_lowercase()),
                _ => None,
            });
            let args = words.into_iter().map(|(_, w)| w).collect();
            return Expr::Call {
                callee: Box::new(Expr::Name(kind.unwrap_or_default())),
                args,
                line,
            };
        }
        let cmdlet = name.contains('-');
        let mut args: Vec<Expr> = piped.into_iter().collect();
        if cmdlet {
            // `Set-MpPreference`, `Add-MpPreference`: the virus scanner's own switches.
            let text = format!("{name} {}", self.text(node)).to_ascii_lowercase();
            if let Some(shell) = special(&text) {
                return Expr::Call {
                    callee: Box::new(Expr::Name("start-process".into())),
                    args: vec![Expr::Str(shell)],
                    line,
                };
            }
            let output = words.iter().position(|(p, w)| *p && matches!(w, Expr::Str(t) if matches!(t.to_ascii_lowercase().as_str(), "-outfile" | "-destination")));
            let target = output.and_then(|at| words.get(at + 1)).map(|(_, w)| w.clone());
            args.extend(words.into_iter().filter(|(parameter, _)| !parameter).map(|(_, w)| w));
            if let (Some(target), true) = (
                target,
                name.starts_with("invoke-web")
                    || name.starts_with("invoke-rest")
                    || name.starts_with("start-bits"),
            ) {
                let first = args.first().cloned().unwrap_or(Expr::none());
                return Expr::Call {
                    callee: Box::new(Expr::Member(Box::new(Expr::none()), "downloadfile".into())),
                    args: vec![first, target],
                    line,
                };
            }
            return Expr::Call { callee: Box::new(Expr::Name(name)), args, line };
        }
        // A program of its own, or a script block or variable that is called.
        let head = if name.starts_with('$') { Expr::Name(name) } else { Expr::Str(name) };
        let mut argv = vec![head];
        argv.extend(words.into_iter().map(|(_, w)| w));
        Expr::Call {
            callee: Box::new(Expr::Name("start-process".into())),
            args: vec![Expr::List(argv)],
            line,
        }
    }
}

/// Cmdlets that take protection away or persist, as the command line that says so.
fn special(text: &str) -> Option<String> {
    let weakens = (text.contains("mppreference")
        && (text.contains("disable") || text.contains("exclusion")))
        || (text.contains("set-netfirewallprofile") && text.contains("false"))
        || text.contains("uninstall-windowsfeature");
    if weakens {
        return Some("setenforce 0".into());
    }
    if text.contains("register-scheduledtask")
        || text.contains("new-scheduledtask")
        || text.contains("new-service")
    {
        return Some("schtasks /create".into());
    }
    None
}
