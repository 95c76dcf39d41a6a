//! What a name stands for: imports of the five languages.

use super::{Lower, children};
use crate::code::ir::Op;
use tree_sitter::Node;

impl Lower<'_> {
    pub(super) fn import(&mut self, node: Node<'_>) {
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
}
