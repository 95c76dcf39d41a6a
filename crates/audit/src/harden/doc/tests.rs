use super::super::parse::parse;
use super::{Edit, EditError, edit};
use proptest::prelude::*;
use serde_json::{Value, json};

fn path(dotted: &str) -> Vec<String> {
    dotted.split('.').map(str::to_owned).collect()
}

fn set(text: &str, key: &str, value: Value) -> String {
    edit(text, &Edit::Set(path(key), value)).unwrap()
}

fn remove(text: &str, key: &str) -> String {
    edit(text, &Edit::Remove(path(key))).unwrap()
}

const DOC: &str = "{\n  // the gateway\n  gateway: {\n    bind: 'lan', // for the phone\n    port: 18789,\n  },\n  tools: { deny: ['exec'] /* more */ },\n}\n";

#[test]
fn a_value_changes_and_nothing_else_does() {
    assert_eq!(set(DOC, "gateway.bind", json!("loopback")), DOC.replace("'lan'", "'loopback'"));
}

#[test]
fn a_new_member_looks_like_its_neighbours() {
    insta::assert_snapshot!(set(
        &set(DOC, "gateway.auth", json!({"mode":"token","rateLimit":{"maxAttempts":10}})),
        "tools.exec.security",
        json!("deny")
    ));
}

#[test]
fn strict_json_stays_strict_json() {
    let text = "{\n  \"a\": 1,\n  \"b\": {\n    \"c\": [1]\n  }\n}";
    for edited in [
        set(text, "b.d", json!(true)),
        set(text, "x.y.z", json!(["q"])),
        set(text, "b.c", json!([1, 2])),
        remove(text, "b"),
        remove(text, "a"),
        set("{}", "x.y", json!(1)),
        set("{\n}\n", "x.y", json!(1)),
    ] {
        serde_json::from_str::<Value>(&edited).expect(&edited);
    }
    assert_eq!(remove(text, "b"), "{\n  \"a\": 1\n}");
}

#[test]
fn an_array_keeps_the_comments_of_the_items_that_stay() {
    let text = "{ a: [\n  'x', // one\n  'y', // two\n] }";
    assert_eq!(
        set(text, "a", json!(["x", "y", "z"])),
        "{ a: [\n  'x', // one\n  'y', // two\n  'z',\n] }"
    );
    assert_eq!(set(text, "a", json!(["y"])), "{ a: [\n  // one\n  'y', // two\n] }");
}

#[test]
fn line_ends_are_kept() {
    let text = "{\r\n\t'a': 1,\r\n}\r\n";
    assert_eq!(
        set(text, "b.c", json!(2)),
        "{\r\n\t'a': 1,\r\n\t'b': {\r\n\t\t'c': 2,\r\n\t},\r\n}\r\n"
    );
    assert_eq!(remove(text, "a"), "{\r\n}\r\n");
}

#[test]
fn a_name_that_occurs_twice_is_edited_where_it_counts_and_removed_everywhere() {
    assert_eq!(set("{a: 1, a: 2}", "a", json!(3)), "{a: 1, a: 3}");
    assert_eq!(parse(&remove("{a: 1, b: 2, a: 3}", "a")).unwrap().to_value(), json!({"b":2}));
    assert_eq!(parse(&remove("{b: 2, a: 1, a: 3}", "a")).unwrap().to_value(), json!({"b":2}));
}

#[test]
fn what_cannot_be_done_is_said_with_its_place() {
    let error = edit("{\n a: 5 }", &Edit::Set(path("a.b"), json!(1))).unwrap_err();
    assert_eq!(error.to_string(), "2:5: `a` is not an object");
    assert!(matches!(edit("{", &Edit::Remove(path("a"))), Err(EditError::Syntax(_))));
}

/// A value and one of many ways of writing it down, with comments and odd spaces.
fn document() -> impl Strategy<Value = String> {
    let gap = prop_oneof![
        4 => Just(String::new()),
        2 => Just(" ".to_owned()),
        1 => Just("\n  ".to_owned()),
        1 => Just("/* c, } */".to_owned()),
        1 => Just("// c ] }\n\t".to_owned()),
        1 => Just("\r\n".to_owned()),
    ];
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("+.5e1".to_owned()),
        Just("0x1F".to_owned()),
        Just("'it\\'s'".to_owned()),
        Just("\"a // b\"".to_owned()),
        Just("-3".to_owned()),
        Just("true".to_owned()),
    ];
    let name = prop_oneof![Just("a"), Just("'b'"), Just("\"c\""), Just("d"), Just("\"e f\"")];
    leaf.prop_recursive(4, 40, 5, move |inner| {
        let gap = gap.clone().boxed();
        let gaps = (gap.clone(), gap.clone(), gap.clone(), gap.clone());
        let member = (name.clone(), inner.clone(), gaps)
            .prop_map(|(n, v, (a, b, c, d))| format!("{a}{n}{b}:{c}{v}{d}"));
        let item = (inner, gap.clone(), gap).prop_map(|(v, a, b)| format!("{a}{v}{b}"));
        let join = |parts: Vec<String>, trailing: bool| {
            let comma = if trailing && !parts.is_empty() { "," } else { "" };
            format!("{}{comma}", parts.join(","))
        };
        prop_oneof![
            3 => (prop::collection::vec(member, 0..5), any::<bool>())
                .prop_map(move |(parts, t)| format!("{{{}}}", join(parts, t))),
            1 => (prop::collection::vec(item, 0..5), any::<bool>())
                .prop_map(move |(parts, t)| format!("[{}]", join(parts, t))),
        ]
    })
    .prop_filter("an object", |text| text.starts_with('{'))
}

fn expected_set(mut root: Value, path: &[String], value: Value) -> Option<Value> {
    let mut at = &mut root;
    for name in path {
        at = at.as_object_mut()?.entry(name.clone()).or_insert_with(|| json!({}));
    }
    *at = value;
    Some(root)
}

fn expected_remove(mut root: Value, path: &[String]) -> Value {
    let (name, parents) = path.split_last().unwrap();
    let holder = parents.iter().try_fold(&mut root, |at, name| at.get_mut(name));
    if let Some(map) = holder.and_then(Value::as_object_mut) {
        map.remove(name);
    }
    root
}

fn comments(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if c == '"' || c == '\'' {
            let mut escaped = false;
            let end = rest[1..].find(|d: char| {
                let hit = d == c && !escaped;
                escaped = d == '\\' && !escaped;
                hit
            });
            rest = &rest[1 + end.unwrap() + 1..];
        } else if rest.starts_with("//") || rest.starts_with("/*") {
            let end = if rest.starts_with("//") {
                rest.find(['\n', '\r']).unwrap_or(rest.len())
            } else {
                rest.find("*/").unwrap() + 2
            };
            out.push(rest[..end].to_owned());
            rest = &rest[end..];
        } else {
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

fn keys() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "c", "d", "e f", "new"]), 1..4)
        .prop_map(|names| names.into_iter().map(str::to_owned).collect())
}

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!("it's")),
        Just(json!(7)),
        Just(json!([])),
        Just(json!(["x", {"y": 1}])),
        Just(json!({"p": {"q": [1, 2]}})),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn an_edit_then_a_parse_is_the_value_set(text in document(), key in keys(), value in values()) {
        let before = parse(&text).unwrap();
        match edit(&text, &Edit::Set(key.clone(), value.clone())) {
            Ok(new) => {
                let after = parse(&new).unwrap_or_else(|e| panic!("{e}\n{text}\n--\n{new}")).to_value();
                prop_assert_eq!(Some(after), expected_set(before.to_value(), &key, value.clone()), "{}\n--\n{}", text, new);
                match before.at(&key) {
                    // A value that was there: every byte outside of it is as it was.
                    Some(node) => {
                        prop_assert!(new.starts_with(&text[..node.span.start]) && new.ends_with(&text[node.span.end..]));
                    }
                    // A new one: nothing is lost, comments stay in order.
                    None => {
                        prop_assert_eq!(comments(&new), comments(&text));
                        let mut left = new.chars();
                        prop_assert!(text.chars().filter(|c| !c.is_whitespace()).all(|c| left.any(|d| d == c)));
                    }
                }
                prop_assert_eq!(edit(&new, &Edit::Set(key, value)).unwrap(), new);
            }
            Err(EditError::NotAnObject { .. }) => {
                prop_assert!(expected_set(before.to_value(), &key, value).is_none());
            }
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn a_removal_takes_the_member_and_no_comment_outside_of_it(text in document(), key in keys()) {
        let before = parse(&text).unwrap();
        let new = edit(&text, &Edit::Remove(key.clone())).unwrap();
        let after = parse(&new).unwrap_or_else(|e| panic!("{e}\n{text}\n--\n{new}"));
        prop_assert_eq!(after.to_value(), expected_remove(before.to_value(), &key), "{}\n--\n{}", text, new);
        if before.at(&key).is_none() {
            prop_assert_eq!(&new, &text);
        }
        let (old, new) = (comments(&text), comments(&new));
        let mut rest = old.iter();
        prop_assert!(new.iter().all(|comment| rest.any(|o| o == comment)));
    }

    #[test]
    fn no_text_makes_the_parser_fall_over(text in "[\\[\\]{}:,'\"/*\\\\ \n\ra-z0-9.+\\-u“\u{2028}]{0,60}") {
        let _ = parse(&text);
        let _ = edit(&text, &Edit::Set(vec!["a".into()], json!(1)));
        let _ = edit(&text, &Edit::Remove(vec!["a".into()]));
    }
}
