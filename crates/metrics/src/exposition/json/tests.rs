//! Cases of the JSON of answers.

use super::*;

fn rendered(value: &Value) -> String {
    let mut out = String::new();
    render_value(value, &mut out);
    out
}

fn there_and_back(value: Value, json: &str) {
    assert_eq!(rendered(&value), json);
    assert_eq!(rendered(&read_value(json).unwrap()), json);
    let whole = format!(r#"{{"status":"success","data":{json},"warnings":["w"]}}"#);
    assert_eq!(rendered(&read_value(&whole).unwrap()), json);
}

#[test]
fn values_are_written_as_prometheus_does_and_read_back() {
    there_and_back(
        Value::Scalar(Sample { at: 1_500, value: 1e21 }),
        r#"{"resultType":"scalar","result":[1.5,"1000000000000000000000"]}"#,
    );
    there_and_back(
        Value::String { at: 1_435_781_451_781, text: "a \"b\"\n\u{1}é</>".to_owned() },
        r#"{"resultType":"string","result":[1435781451.781,"a \"b\"\n\u0001é</>"]}"#,
    );
    let labels = Labels::new([("__name__", "up"), ("job", "a\\b")]);
    there_and_back(
        Value::Vector(vec![
            (labels.clone(), Sample { at: 1_435_781_451_500, value: f64::NAN }),
            (Labels::default(), Sample { at: -1, value: f64::NEG_INFINITY }),
        ]),
        concat!(
            r#"{"resultType":"vector","result":["#,
            r#"{"metric":{"__name__":"up","job":"a\\b"},"value":[1435781451.500,"NaN"]},"#,
            r#"{"metric":{},"value":[-0.001,"-Inf"]}]}"#,
        ),
    );
    let samples = vec![Sample { at: 0, value: 0.5 }, Sample { at: 15_000, value: f64::INFINITY }];
    there_and_back(
        Value::Matrix(vec![Series { labels, samples, lag: None }]),
        concat!(
            r#"{"resultType":"matrix","result":["#,
            r#"{"metric":{"__name__":"up","job":"a\\b"},"values":[[0,"0.5"],[15,"+Inf"]]}]}"#,
        ),
    );
    there_and_back(Value::Matrix(Vec::new()), r#"{"resultType":"matrix","result":[]}"#);
}

#[test]
fn answers_that_cannot_be_used_say_why() {
    for (json, message) in [
        (
            r#"{"status":"error","errorType":"bad_data","error":"no such function"}"#,
            "bad_data: no such function",
        ),
        (r#"{"status":"success"}"#, "could not read the answer: it has no result"),
        (
            r#"{"resultType":"vector","result":[1,"2"]}"#,
            "could not read the answer: its result is not a \"vector\"",
        ),
        (
            r#"{"resultType":"scalar","result":[1e300,"2"]}"#,
            "could not read the answer: its result is not a \"scalar\"",
        ),
        (
            r#"{"resultType":"thing","result":[]}"#,
            "could not read the answer: its result is not a \"thing\"",
        ),
    ] {
        assert_eq!(read_value(json).unwrap_err(), message);
    }
    for json in [
        "",
        "<html>",
        r#"{"resultType":"vector","result":[{"metric":{},"value":[1,"x"]}]}"#,
        r#"{"resultType":"matrix","result":[{"metric":{},"values":[[1]]}]}"#,
        r#"{"resultType":"matrix","result":[{"metric":{},"values":[[1,"2",3]]}]}"#,
    ] {
        assert!(read_value(json).unwrap_err().starts_with("could not read the answer: "), "{json}");
    }
}

#[test]
fn native_histograms_are_left_out() {
    let json = concat!(
        r#"{"resultType":"vector","result":["#,
        r#"{"metric":{"a":"b"},"histogram":[1,{"count":"5"}]},"#,
        r#"{"metric":{"a":"c"},"value":[1,"5"]}]}"#,
    );
    let Value::Vector(all) = read_value(json).unwrap() else { panic!("not a vector") };
    assert_eq!(all, [(Labels::new([("a", "c")]), Sample { at: 1_000, value: 5.0 })]);
}
