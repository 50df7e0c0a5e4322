//! Made sets, of made documents.

use super::phrases::known_items;
use super::*;

/// A handbook of forty sections, half of them Chinese, whose sentences repeat but for one.
fn documents() -> Vec<SourceDocument> {
    let mut documents = vec![];
    for (name, chinese) in [("manual.md", false), ("手册.pdf", true)] {
        let (mut text, mut headings) = (String::new(), vec![]);
        for at in 0..20 {
            let (heading, own, usual) = if chinese {
                let numeral = chinese_number(at);
                (
                    format!("第{numeral}种设备保养办法"),
                    format!("阀门{numeral}号铭牌钢印使用 grub{} 菜单。", letters(at)),
                    "系统管理员应当按照本手册定期检查锅炉压力并且记录结果。".repeat(3),
                )
            } else {
                (
                    format!("{at}.1 Maintaining unit {}", letters(at)),
                    format!("Valve {} carries bronze seal.", letters(at)),
                    "Every unit is checked by the operator before the season begins. ".repeat(5),
                )
            };
            text.push_str(&format!("{heading}\n{own}\n{usual}\n"));
            headings.push(heading);
        }
        documents.push(SourceDocument { name: name.into(), text, headings });
    }
    documents
}

fn letters(at: usize) -> String {
    let letter = |of: usize| char::from(b'a' + u8::try_from(of % 20).unwrap());
    [at, at / 3, at * 7 + 1, at].map(letter).iter().collect()
}

fn chinese_number(at: usize) -> String {
    let digits: Vec<char> = "零壹贰叁肆伍陆柒捌玖".chars().collect();
    [digits[at / 10], digits[at % 10]].iter().collect()
}

#[test]
fn sections_become_passages_and_their_headings_queries() {
    let set = generate(&documents(), &GenerateOptions::default()).unwrap();
    assert_eq!(set.passages.len(), 40);
    let heading = set.queries.iter().find(|it| it.text == "Maintaining unit aaba").unwrap();
    assert_eq!((heading.kind, &heading.passages[..]), (QueryKind::Heading, &[0][..]));
    let counts = set.counts();
    for kind in QueryKind::ALL {
        assert!(counts.get(&kind).is_some_and(|count| *count >= 5), "{counts:?}");
    }
}

#[test]
fn a_query_stands_in_all_its_passages_and_in_no_other() {
    let set = generate(&documents(), &GenerateOptions::default()).unwrap();
    for query in set.queries.iter().filter(|it| it.kind != QueryKind::Heading) {
        let holding: Vec<usize> = (0..set.passages.len())
            .filter(|at| set.passages[*at].text.to_lowercase().contains(&query.text.to_lowercase()))
            .collect();
        assert_eq!(query.passages, holding, "{query:?}");
        assert!(holding.len() <= 3, "{query:?}");
    }
}

#[test]
fn the_seed_decides() {
    let set = |seed| {
        let options = GenerateOptions { seed, queries: 60 };
        generate(&documents(), &options).unwrap().queries
    };
    assert_eq!(set(7), set(7));
    assert_ne!(set(7), set(8));
    assert_eq!(set(7).len(), 60);
}

#[test]
fn too_little_text_is_refused_with_the_reason() {
    let short = SourceDocument { name: "a".into(), text: "word ".repeat(300), headings: vec![] };
    let wrong = generate(&[short], &GenerateOptions::default()).unwrap_err().to_string();
    assert!(wrong.contains("1 passages") || wrong.contains("at least 20"), "{wrong}");
    let same = SourceDocument {
        name: "b".into(),
        text: "the same words stand here. ".repeat(4000),
        headings: vec![],
    };
    let wrong = generate(&[same], &GenerateOptions::default()).unwrap_err().to_string();
    assert!(wrong.contains("only 0 headings"), "{wrong}");
    assert!(generate(&[], &GenerateOptions::default()).is_err());
}

#[test]
fn a_phrase_broken_over_lines_or_in_capitals_is_the_same_and_a_longer_word_is_not() {
    let passage =
        |text: &str| Passage { document: 0, ordinal: 0, text: text.into(), heading: None };
    let passages = [
        passage("Bronze gate valve"),
        passage("a bronze\ngate  valve."),
        passage("bronze gate valves"),
    ];
    let found = known_items(&passages[..], QueryKind::Words, 9, &mut Random(1));
    let bronze = found.iter().find(|it| it.text.to_lowercase() == "bronze gate valve").unwrap();
    assert_eq!(bronze.passages, [0, 1]);
}

#[test]
fn what_is_written_is_a_data_set_and_never_over_another() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("set");
    let set = generate(&documents(), &GenerateOptions::default()).unwrap();
    set.write(&target).unwrap();
    let read = crate::Dataset::read(&target, None).unwrap();
    assert_eq!((read.documents.len(), read.queries.len()), (40, set.queries.len()));
    assert!(read.notes.is_empty(), "{:?}", read.notes);
    let only = crate::Dataset::read(&target, Some(&target.join("qrels/han.tsv"))).unwrap();
    assert_eq!(only.queries.len(), set.counts()[&QueryKind::Han]);
    let readme = fs_err::read_to_string(target.join("README.md")).unwrap();
    assert!(readme.contains("Nobody judged it") && readme.contains("do not choose an embedder"));
    let wrong = set.write(&target).unwrap_err().to_string();
    assert!(wrong.contains("is not empty"), "{wrong}");
}
