//! What expressions come to, and what is refused.

use serde_json::{Value as Json, json};

use super::{Expression, Facts, Failure, MOST_STEPS, Text};

const NAMES: [&str; 2] = ["object", "old"];

struct World(Json, Json);

impl Facts for World {
    fn fact(&self, index: usize) -> &Json {
        if index == 0 { &self.0 } else { &self.1 }
    }
}

fn world() -> World {
    let object = json!({
        "kind": "Application", "labels": { "tier": "core" }, "zero": 0, "half": 0.5,
        "spec": { "owner": "team/trade", "cpu": "250m", "memory": "1Gi", "soak": "30d",
            "env": { "DB_PASSWORD": "x", "PORT": "80" },
            "instances": [
                { "zone": "a", "n": 1 }, { "zone": "b", "n": 2 }, { "zone": "a", "n": 3 },
            ],
        },
    });
    World(object, Json::Null)
}

fn said(text: &str) -> String {
    let expression = match Expression::read(text, &NAMES) {
        Ok(expression) => expression,
        Err(wrong) => return format!("wrong: {wrong}"),
    };
    let (world, mut left) = (world(), MOST_STEPS);
    match expression.evaluate(&world, &mut left) {
        Ok(value) => value.to_string(),
        Err(failure) => format!("fails: {failure}"),
    }
}

fn holds(all: &[&str]) {
    for text in all {
        assert_eq!(said(text), "true", "{text}");
    }
}

#[test]
fn operators_are_those_of_cel() {
    holds(&[
        "1 + 2 * 3 == 7 && (1 + 2) * 3 == 9 && -7 / 2 == -3 && -7 % 2 == -1",
        "1 == 1.0 && 1 < 1.5 && 2.5 > 2 && !(1 == '1') && null == null && old == null",
        "'a' + 'b' == \"ab\" && [1] + [2] == [1, 2] && {'a': 1} == {'a': 1.0}",
        "true ? true : 1 / 0 == 1",
        "false && 1 / 0 == 1 || true",
        "(1 / 0 == 1 && false) == false && (1 / 0 == 1 || true)",
        "0x10 == 16 && 1e3 == 1000.0 && .5 == 0.5 && 1.5e-1 == 0.15",
        "'\\u0041\\n' == 'A\\x0a' && r'\\d' == '\\\\d' && '''it's''' == \"it's\"",
        "2 in [1, 2] && !('c' in object.labels) && 'tier' in object.labels // and a remark",
    ]);
    assert_eq!(said("9223372036854775807 + 1"), "fails: a number is out of range");
    assert_eq!(said("1 / 0"), "fails: divides by nothing");
    assert_eq!(said("1 + 1.5"), "fails: a whole number + a number; write double(…) or int(…)");
    assert_eq!(said("1 && true"), "fails: a whole number where true or false should be");
}

#[test]
fn facts_are_looked_into() {
    holds(&[
        "object.spec.owner == 'team/trade' && object['kind'] == 'Application'",
        "has(object.spec.owner) && !has(object.spec.nothing)",
        "object.spec.instances[1].zone == 'b' && size(object.spec.instances) == 3",
        "object.spec.instances.all(i, i.n > 0) && object.spec.instances.exists(i, i.zone == 'b')",
        "object.spec.instances.exists_one(i, i.zone == 'b')",
        "object.spec.instances.map(i, i.n * 2) == [2, 4, 6]",
        "object.spec.instances.map(i, i.zone == 'a', i.n) == [1, 3]",
        "object.spec.instances.filter(i, i.zone == 'a').size() == 2",
        "object.spec.env.exists(k, k.matches('(?i)password')) && object.spec.env['PORT'] == '80'",
        "object.spec.instances.all(i, object.spec.instances.exists(j, j.n == i.n))",
        "cpu(object.spec.cpu) >= cpu('200m') && memory(object.spec.memory) == 1073741824",
        "duration(object.spec.soak) > duration('1h') && duration('1h') == duration('60m')",
        "object.spec.owner.startsWith('team/') && 'ABC'.lowerAscii() == 'abc'",
        "['x', 'y'].join(', ') == 'x, y' && string(3) == '3' && int('4') == 4 && size('äö') == 2",
        "object.spec.instances.exists(i, i.nothing == 1 || i.n == 3)",
    ]);
    assert_eq!(
        said("object.spec.nothing == 1"),
        "fails: there is no field nothing; ask has(….nothing) first"
    );
    assert_eq!(said("old.spec"), "fails: nothing (null) has no field spec");
    assert_eq!(said("object.spec.instances[3]"), "fails: [3] of a list of 3");
    assert_eq!(said("object.zero.map(x, x)"), {
        "fails: a macro over a whole number, which has no elements"
    });
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let wrong = [
        ("objct.spec", "column 1: \"objct\" is not known; did you mean object?"),
        ("1 +", "column 4: the expression ends, and stands where a value should"),
        ("object.spec = 1", "column 13: \"=\" means nothing here; write =="),
        ("sice(object)", "column 1: there is no function sice; did you mean size?"),
        ("object.spec.owner.matches('(')", "column 19: \"(\" is no pattern: error: unclosed group"),
        ("'open", "column 1: the text has no ' at its end"),
        ("has(object)", "column 1: has takes one field, as in has(object.spec.owner)"),
        ("1u", "column 2: numbers have no sign of their own here; leave u out"),
        ("[1, 2", "column 6: the expression ends, and stands where \"]\" should"),
        (
            "true false",
            "column 6: \"false\" is not expected here; the expression is complete before it",
        ),
    ];
    for (text, message) in wrong {
        assert_eq!(said(text), format!("wrong: {message}"), "{text}");
    }
}

#[test]
fn costs_are_bounded() {
    let deep = format!("{}true{}", "(".repeat(2_000), ")".repeat(2_000));
    assert!(said(&deep).contains("nested deeper"));
    assert!(said(&"!".repeat(3_000)).contains("nested deeper"));
    assert!(said(&"x".repeat(5_000)).contains("longer than"));
    assert!(said(&format!("1{}", "+1".repeat(1_500))).contains("parts"));
    assert!(said(&format!("1{}", "+1".repeat(100))).contains("a chain of more than 64"));
    assert_eq!(said(&format!("1{}", "+1".repeat(50))), "51");
    let macros = "[1].all(a, [1].all(b, [1].all(c, [1].all(d, true))))";
    assert!(said(macros).contains("macros stand in each other"));

    let many: Vec<String> = (0..200).map(|n| n.to_string()).collect();
    let list = format!("[{}]", many.join(","));
    let product = format!("{list}.all(a, {list}.all(b, a + b >= 0))");
    assert_eq!(said(&product), format!("fails: {}", Failure::TooMuch));
    // Wholes cost what is in them to be compared.
    let alike = format!("{list}.all(a, [1, 2, 3, 4, 5].all(b, [object] == [object]))");
    assert_eq!(said(&alike), format!("fails: {}", Failure::TooMuch));
    // Texts that double cost what they are long.
    let doubling = "['aaaaaaaaaaaaaaaa'].map(a, a+a+a+a+a+a+a+a).map(a, a+a+a+a+a+a+a+a)\
        .map(a, a+a+a+a+a+a+a+a).map(a, a+a+a+a+a+a+a+a).map(a, a+a+a+a+a+a+a+a)\
        .map(a, a+a+a+a+a+a+a+a).map(a, a+a+a+a+a+a+a+a)";
    assert_eq!(said(doubling), format!("fails: {}", Failure::TooMuch));
}

#[test]
fn texts_are_filled_in() {
    let text =
        Text::read("{{object.kind}} has {{ object.spec.instances.map(i, i.zone) }}{{old.x}}", {
            &NAMES
        });
    let mut left = MOST_STEPS;
    assert_eq!(text.unwrap().fill(&world(), &mut left), "Application has a, b, a?");
    let text = Text::read("{{2.0 / 3.0}} {{12345.678}} {{-0.00012345}} {{0.0}} {{3}}", &NAMES);
    let filled = text.unwrap().fill(&world(), &mut left);
    assert_eq!(filled, "0.6667 12346 -0.0001235 0 3", "people do not read more digits");
    let wrong = Text::read("a {{ 1 + }}", &NAMES).unwrap_err();
    assert_eq!(wrong.column, 10);
    assert_eq!(Text::read("a {{ 1", &NAMES).unwrap_err().column, 3);
}
