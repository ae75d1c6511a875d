//! Texts of well-known rule collections, and texts that are wrong. What is expected was printed by
//! `promtool test rules` 2.42, except where a text is left as it is written.

use std::collections::BTreeMap;

use super::evaluate::Evaluation;
use super::value::Value;
use super::{Facts, LONGEST, LONGEST_SAID, expand, parse};

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn expanded(text: &str, value: f64) -> (String, Option<String>) {
    let labels = labels(&[
        ("cluster", "eu-1"),
        ("device", "/dev/sda1"),
        ("host", "a.b.example.com:80"),
        ("instance", "web.prod.0:9100"),
        ("job", "node"),
        ("num", "12345.5"),
        ("severity", "critical"),
    ]);
    expand(text, Facts { labels: &labels, value })
}

fn check(table: &[(&str, f64, &str)]) {
    for (text, value, said) in table {
        assert_eq!(expanded(text, *value), ((*said).to_owned(), None), "{text} of {value}");
    }
}

/// They stay as they are, and the part that is not understood is said.
fn check_left(table: &[(&str, &str)]) {
    for (text, unclear) in table {
        let wanted = ((*text).to_owned(), Some((*unclear).to_owned()));
        assert_eq!(expanded(text, 1.5), wanted, "{text}");
    }
}

const COLLECTIONS: [(&str, f64, &str); 12] = [
    // node-mixin
    (
        "Filesystem on {{ $labels.device }}, mounted on {{ $labels.mountpoint }}, at \
         {{ $labels.instance }} has only {{ printf \"%.2f\" $value }}% available space left.",
        3.1372,
        "Filesystem on /dev/sda1, mounted on , at web.prod.0:9100 has only 3.14% available space \
         left.",
    ),
    ("Clock at {{ $labels.instance }}.", 0.0, "Clock at web.prod.0:9100."),
    // kubernetes-mixin
    (
        "The PersistentVolume claimed by {{ $labels.persistentvolumeclaim }} \
         {{ with $labels.cluster -}} on Cluster {{ . }} {{- end }} is only \
         {{ $value | humanizePercentage }} free.",
        0.0123,
        "The PersistentVolume claimed by  on Cluster eu-1 is only 1.23% free.",
    ),
    (
        "{{ $value | humanizePercentage }} throttling of CPU in namespace {{ $labels.namespace }}\
         {{ with $labels.none -}} on Cluster {{ . }} {{- end }}.",
        0.25,
        "25% throttling of CPU in namespace .",
    ),
    (
        "Kubernetes API certificate expires in less than {{ $value | humanizeDuration }}.",
        93_784.0,
        "Kubernetes API certificate expires in less than 1d 2h 3m 4s.",
    ),
    // etcd
    (
        "etcd cluster \"{{ $labels.job }}\": insufficient members ({{ $value }}).",
        1.0,
        "etcd cluster \"node\": insufficient members (1).",
    ),
    (
        "etcd cluster \"{{ $labels.job }}\": {{ $value }}% of requests for \
         {{ $labels.grpc_method }} failed on etcd instance {{ $labels.instance }}.",
        1_234_567.0,
        "etcd cluster \"node\": 1.234567e+06% of requests for  failed on etcd instance \
         web.prod.0:9100.",
    ),
    // others
    (
        "{{ if eq $value 1.0 }}**1 PVC**{{ else }}**{{ $value }} PVCs**{{ end }}\
         {{ if $labels.cluster }} on cluster **{{ $labels.cluster }}**{{ end }}",
        2.0,
        "**2 PVCs** on cluster **eu-1**",
    ),
    (
        "{{ if $labels.alert_severity }}{{$labels.alert_severity}}{{else}}critical{{end}}",
        0.0,
        "critical",
    ),
    ("{{ if eq $labels.sla \"guaranteed\" }}true{{ else }}false{{ end }}", 0.0, "false"),
    (
        "{{ if eq $labels.state \"blocked\" }}A{{ else if eq $labels.job \"node\" }}B\
         {{ else }}C{{ end }}",
        0.0,
        "B",
    ),
    (
        "VALUE = {{ $value }}\n  LABELS = {{ with .Labels }}{{ .job }} {{ len . }}{{ end }}",
        1e21,
        "VALUE = 1e+21\n  LABELS = node 7",
    ),
];

#[test]
fn texts_of_collections_are_filled_in() {
    check(&COLLECTIONS);
}

#[test]
fn actions_do_as_in_go() {
    check(&[
        ("plain }} text", 1.0, "plain }} text"),
        ("a {{- $labels.job -}} b {{- /* none */ -}} c {{/* none */}}.", 0.0, "anodebc ."),
        ("{{- 3 -}} {{-3}}", 0.0, "3-3"),
        ("a\n  {{- if true }}\n  b\n  {{- end }}\nc", 0.0, "a\n  b\nc"),
        ("{{if(eq 1 1)}}a{{end}}{{if.Value}}b{{end}}", 1.0, "ab"),
        (
            "{{ if 0.0 }}{{ else if \"\" }}{{ else if .ExternalLabels }}{{ else }}a{{ end }}",
            0.0,
            "a",
        ),
        ("{{ if $value }}a{{ end }}{{ if $labels }}b{{ end }}", f64::NAN, "ab"),
        ("{{ with $labels.none }}{{ else with $labels.job }}{{ . }}{{ end }}", 0.0, "node"),
        ("{{ with $x := .Value }}{{ $x }}{{ $.Value }}{{ . }}{{ end }}", 2.0, "222"),
        ("{{ range $k, $v := $labels }}{{ $k }}={{ len $v }} {{ end }}", 0.0, LENGTHS),
        ("{{ range $v := $externalLabels }}{{ $v }}{{ else }}none{{ end }}", 0.0, "none"),
        ("{{ $externalURL }}/{{ .ExternalURL }}{{ $externalLabels.dc }}", 0.0, "/"),
        ("{{ $s := \"\" }}{{ range $labels }}{{ $s = . }}{{ end }}{{ $s }}", 0.0, "critical"),
        ("{{ $x := 1 }}{{ if true }}{{ $x := 2 }}{{ $x }}{{ end }}{{ $x }}", 0.0, "21"),
        ("{{ $k := 1 }}{{ range $k, $v := $labels }}{{ break }}{{ end }}{{ $k }}", 0.0, "1"),
        (
            "{{ range $labels }}{{ if ne . \"node\" }}{{ continue }}{{ end }}{{ . }}{{ end }}",
            0.0,
            "node",
        ),
        ("{{ $labels = 1 }}{{ $labels }}", 0.0, "1"),
        ("{{ ($labels).job }}{{ (index $labels \"job\") | toUpper }}", 0.0, "nodeNODE"),
        ("{{ 1 | print 2 | printf \"%s!\" }}", 0.0, "2 1!"),
        ("{{ 0x1F }} {{ 017 }} {{ 0b11 }} {{ +5 }} {{ .5 }} {{ 1e3 }}", 0.0, "31 15 3 5 0.5 1000"),
        (r#"{{ "a\tb\"\u00e9\x41\101" }}{{ `\n }}` }}"#, 0.0, "a\tb\"éAA\\n }}"),
        ("{{ \"a}}b\" }}", 0.0, "a}}b"),
    ]);
}

const LENGTHS: &str = "cluster=4 device=9 host=18 instance=15 job=4 num=7 severity=8 ";

#[test]
fn functions_do_as_in_go_and_prometheus() {
    check(&[
        (
            "{{ eq $labels.job \"a\" \"node\" }} {{ ne 1 1 }} {{ lt \"a\" \"b\" }}",
            0.0,
            "true false true",
        ),
        ("{{ le 1 1 }} {{ gt 2 1 }} {{ ge $value 1.0 }}", 0.5, "true true false"),
        ("{{ gt $value 1.0 }} {{ lt $value 1.0 }}", f64::NAN, "true false"),
        ("{{ and true \"\" 1 }}|{{ or \"\" \"b\" }}|{{ not 0 }}", 0.0, "|b|true"),
        ("{{ or true (humanize \"x\") }}{{ $labels.none | or \"z\" }}", 0.0, "truez"),
        ("{{ len \"äö\" }} {{ index $labels \"none\" }}.", 0.0, "4 ."),
        ("{{ print 1 2 \"a\" 3 4.5 true }}|{{ println \"a\" 1 }}|", 0.0, "1 2a3 4.5 true|a 1\n|"),
        (
            "{{ with $labels }}{{ reReplaceAll \" .*\" \"\" (print .) }}{{ end }}",
            0.0,
            "map[cluster:eu-1",
        ),
        ("{{ \"hello wORLD_foo 9a\" | title }}", 0.0, "Hello WORLD_foo 9a"),
        ("{{ \"ß é\" | toUpper }}{{ \"ÀB\" | toLower }}", 0.0, "ß Éàb"),
        ("{{ match \"^web\" $labels.instance }} {{ match \"\\\\d{5}\" \"1\" }}", 0.0, "true false"),
        ("{{ $labels.instance | reReplaceAll \"(.*):(.*)\" \"${2}_$1\" }}", 0.0, "9100_web.prod.0"),
        (r#"{{ reReplaceAll "\\w+" "W" "abc déf" }}"#, 0.0, "W WéW"),
        (r#"{{ reReplaceAll "[[&&\\d]" "X" "a[&1" }}"#, 0.0, "aXXX"),
        (r#"{{ reReplaceAll "a*" "x" "baaac" }}{{ reReplaceAll "b" "$" "abc" }}"#, 0.0, "xbxcxa$c"),
        (
            "{{ stripPort $labels.host }} {{ stripPort \"[::1]:80\" }} {{ stripPort \"::1\" }}",
            0.0,
            STRIPPED,
        ),
        ("{{ stripDomain $labels.host }} {{ stripDomain \"1.2.3.4:80\" }}", 0.0, "a:80 1.2.3.4:80"),
        ("{{ safeHtml \"<b>\" }}", 0.0, "<b>"),
        ("{{ parseDuration \"1h30m\" }} {{ parseDuration \"7ms\" }}", 0.0, "5400 0.007"),
        ("{{ humanizeTimestamp $value }}", 1_709_210_096.5, "2024-02-29 12:34:56.5 +0000 UTC"),
        ("{{ humanizeTimestamp $value }}", -1.0, "1969-12-31 23:59:59 +0000 UTC"),
        ("{{ $value | humanize }} {{ humanize $labels.num }}", 0.000123, "123u 12.35k"),
        ("{{ $value | humanize1024 }}B {{ $value | humanizeDuration }}", 2048.0, "2kiB 34m 8s"),
    ]);
}

const STRIPPED: &str = "a.b.example.com ::1 ::1";

#[test]
fn values_are_printed_as_in_go() {
    check(&[
        ("{{ $value }}", 0.1, "0.1"),
        ("{{ $value }}", 999_999.5, "999999.5"),
        ("{{ $value }}", 1e6, "1e+06"),
        ("{{ $value }} {{ printf \"%5.1f\" $value }}", f64::INFINITY, "+Inf  +Inf"),
        (
            "{{ printf \"%5.1f|%-6.1f|%06.2f|%+g|% g\" $value $value $value $value $value }}",
            2.25,
            FORMS,
        ),
        (
            "{{ printf \"%e %.1E %g %.3g %v\" $value $value $value $value $value }}",
            123_456.789,
            EXPONENTS,
        ),
        ("{{ printf \"%d|%4d|%-4d|%04d|%+d\" 5 5 5 -5 5 }}", 0.0, "5|   5|5   |-005|+5"),
        (
            "{{ printf \"%q %4s|%-4s|%.1s|%t %v%%\" \"a\\n\" \"b\" \"c\" \"de\" true 1 }}",
            0.0,
            STRINGS,
        ),
    ]);
}

const FORMS: &str = "  2.2|2.2   |002.25|+2.25| 2.25";
const EXPONENTS: &str = "1.234568e+05 1.2E+05 123456.789 1.23e+05 123456.789";
const STRINGS: &str = "\"a\\n\"    b|c   |d|true 1%";

#[test]
fn what_is_not_understood_stays_as_it_is() {
    check_left(&[
        ("{{ query \"up\" }}", "{{ query \"up\" }}"),
        (
            "{{ query \"up\" | first | value | humanize }}",
            "{{ query \"up\" | first | value | humanize }}",
        ),
        ("{{ range query \"up\" }}{{ .Labels.job }} {{ end }}.", "{{ range query \"up\" }}"),
        (
            "{{ with printf \"up\" | query }}a{{ if true }}b{{ end }}{{ end }}.",
            "{{ with printf \"up\" | query }}",
        ),
        ("{{ define \"x\" }}{{ if true }}a{{ end }}{{ end }}.", "{{ define \"x\" }}"),
        ("{{ template \"x\" }}{{ externalURL }}{{ graphLink \"up\" }}", "{{ template \"x\" }}"),
        ("{{ if eq $value 1 }}a{{ else }}b{{ end }}", "{{ if eq $value 1 }}"),
        ("{{ if false }}a{{ else if foo }}b{{ end }}", "{{ if false }}"),
        ("{{ if gt $value 1.0 }}a", "{{ if gt $value 1.0 }}"),
        ("{{ if true }}a{{ else }}b{{ else }}c{{ end }}", "{{ if true }}"),
        ("{{ range $value }}a{{ end }}", "{{ range $value }}"),
        ("{{ end }}{{ else }}{{ break }}", "{{ end }}"),
        ("{{", "{{"),
        ("{{ }}", "{{ }}"),
        ("{{ \"a }}", "{{ \"a }}"),
        ("{{ 'a }}{{ \"a\nb\" }}{{ `a }}", "{{ 'a }}"),
        ("{{ /* no */ }}{{-/* no */}}{{/* no }}", "{{ /* no */ }}"),
        ("{{ .foo }}{{ $none }}{{ .Labels.job.x }}{{ . }}", "{{ .foo }}"),
        ("{{ $x = 1 }}{{ $x, $y := 1 }}", "{{ $x, $y := 1 }}"),
        ("{{ 1 | 2 }}{{ 08 }}{{ 1_0 }}{{ 'a' }}{{ \"\\q\" }}", "{{ 1 | 2 }}"),
        ("{{ print(1) }}{{ print\"a\" }}{{ \"a\" \"b\" }}{{ ..x }}", "{{ print(1) }}"),
        ("{{ eq 1 }}{{ not }}{{ and }}{{ lt true false }}{{ toUpper 1 }}", "{{ eq 1 }}"),
        (
            "{{ printf \"%d\" $value }}{{ printf \"%s\" }}{{ printf \"\" 1 }}",
            "{{ printf \"%d\" $value }}",
        ),
        ("{{ humanize \"abc\" }}{{ humanize \"1e400\" }}", "{{ humanize \"abc\" }}"),
        (
            "{{ parseDuration \"1m1h\" }}{{ parseDuration \"300y\" }}",
            "{{ parseDuration \"1m1h\" }}",
        ),
        ("{{ match \"(\" \"a\" }}{{ match \"(?=a)\" \"a\" }}", "{{ match \"(\" \"a\" }}"),
    ]);
}

#[test]
fn only_the_innermost_part_is_left() {
    for (text, said, unclear) in [
        ("{{ $value }} {{ args }}", "1.5 {{ args }}", Some("{{ args }}")),
        (
            "{{ if true }}a{{ query \"up\" }}{{ end }}",
            "a{{ query \"up\" }}",
            Some("{{ query \"up\" }}"),
        ),
        // It is said, although it is not used.
        ("{{ if false }}{{ tmpl }}{{ else }}a{{ end }}", "a", Some("{{ tmpl }}")),
        // What it would have set is not known behind it.
        (
            "{{ $x := 1 }}{{ $x = query \"up\" }}{{ $x }}{{ $value }}",
            "{{ $x = query \"up\" }}{{ $x }}1.5",
            Some("{{ $x = query \"up\" }}"),
        ),
        (
            "{{ $n := 1 }}{{ range query \"up\" }}{{ $n = 2 }}{{ end }}{{ $n }}",
            "{{ range query \"up\" }}{{ $n = 2 }}{{ end }}{{ $n }}",
            Some("{{ range query \"up\" }}"),
        ),
        // It is understood; there is only no number.
        ("{{ $labels.none | humanize }}", "{{ $labels.none | humanize }}", None),
    ] {
        assert_eq!(expanded(text, 1.5), (said.to_owned(), unclear.map(str::to_owned)), "{text}");
    }
}

#[test]
fn results_of_queries_are_read() {
    let (a, b) = (labels(&[("pod", "b"), ("__value__", "x")]), labels(&[("pod", "a")]));
    let results = [Facts { labels: &a, value: 2.0 }, Facts { labels: &b, value: 1.5 }];
    let none = BTreeMap::new();
    let facts = Facts { labels: &none, value: 0.0 };
    for (text, said) in [
        ("{{ range $r }}{{ .Labels.pod }}={{ .Value }} {{ end }}", "b=2 a=1.5 "),
        (
            "{{ range $i, $s := sortByLabel \"pod\" $r }}{{ $i }}{{ $s | label \"pod\" }}{{ end }}",
            "0a1b",
        ),
        ("{{ $r | first | value | humanize }} {{ $r | first | strvalue }} {{ len $r }}", "2 x 2"),
        (
            "{{ (index $r 1).Labels.pod }}{{ with $r }}{{ . | first | label \"none\" }}.{{ end }}",
            "a.",
        ),
        ("{{ if $r }}a{{ end }}{{ index $r 2 }}", "a{{ index $r 2 }}"),
    ] {
        let (nodes, unclear) = parse::parse(text).unwrap();
        assert_eq!(unclear, None, "{text}");
        let results = Value::Results(results.as_slice().into());
        let expanded = Evaluation::new(facts).with("r", results, &nodes, &Value::Root(facts));
        assert_eq!(expanded.unwrap().0, said, "{text}");
    }
}

#[test]
fn hostile_texts_are_left_as_they_are() {
    let double = "{{ $x := \"$0\" }}".to_owned() + &"{{ $x = print $x $x }}".repeat(14);
    for text in [
        double.clone() + &"{{ $x = print $x $x }}".repeat(40),
        double.clone() + "{{ print $x $x $x $x }}",
        double + "{{ reReplaceAll \"0\" $x $x }}",
        "{{ if true }}".repeat(2000) + &"{{ end }}".repeat(2000),
        format!("{{{{ {}1{} }}}}", "(".repeat(1000), ")".repeat(1000)),
        "{{ range $labels }}".repeat(20) + &"{{ end }}".repeat(20),
        "{{ `".repeat(10_000),
        "{{".repeat(30_000),
        "{{ match \"(((a{30}){30}){30}){30}\" \"a\" }}".to_owned(),
        "{{ match \"a\" \"a\" }}".repeat(200),
        "{{ printf \"%1000000s\" \"a\" }}".to_owned(),
        "{{ $value }}".to_owned() + &"x".repeat(LONGEST),
    ] {
        let (said, unclear) = expanded(&text, 1.5);
        let start: String = text.chars().take(60).collect();
        assert!(said == text, "{start}");
        assert!(unclear.is_some_and(|said| said.len() <= LONGEST_SAID + 3), "{start}");
    }
}
