//! Questions whose page is known: the answer cites it, and the quote really stands there.

use crate::support::{Home, add_all, ask, chapters, handbook, letters};

/// A question, the chapter that answers it (a chapter a page), and what the answer must say.
type Known = (&'static str, u32, &'static str);

const ENGLISH: &[Known] = &[
    ("When was the hosted Assistants API switched off?", 1, "August 2026"),
    ("What lists every file that was skipped and why?", 2, "table"),
    ("How can I go on with the same conversation?", 2, "--thread"),
    ("What happens to scanned pages without a text layer?", 3, "OCR"),
    ("How many tokens does a chunk share with the one before it?", 4, "400 tokens"),
    ("How long is one window of an embedding model?", 4, "256 tokens"),
    ("How many dimensions does the default embedder have?", 5, "384"),
    ("How are the two ranked lists merged?", 6, "reciprocal rank fusion"),
    ("When does a run expire?", 7, "ten minutes"),
    ("Which file is the truth of the library?", 8, "state.sqlite"),
    ("What does exit code 130 mean?", 9, "Ctrl-C"),
    ("How many megabytes may a file have at most?", 10, "512"),
];

const CHINESE: &[Known] = &[
    ("托管的 Assistants API 什么时候关闭？", 1, "2026"),
    ("怎样继续同一段对话？", 2, "thread"),
    ("加密的 PDF 可以打开吗？", 3, "密码"),
    ("相邻的两块有多少个词元的重叠？", 4, "400"),
    ("默认的嵌入模型有多少维？", 5, "384"),
    ("两个排名列表怎样合并？", 6, "倒数排名融合"),
    ("运行在多久后过期？", 7, "十分钟"),
    ("每个对象和变更日志保存在哪里？", 8, "变更日志"),
    ("退出码 130 表示什么？", 9, "Ctrl-C"),
    ("一个文件最多有多少兆字节？", 10, "512"),
];

#[test]
fn english_answers_cite_the_page_that_says_it() {
    assert_all_cited("en", ENGLISH);
}

#[test]
fn chinese_answers_cite_the_page_that_says_it() {
    assert_all_cited("zh", CHINESE);
}

/// Both handbooks are in the library: the answer must also come from the right one.
#[track_caller]
fn assert_all_cited(language: &str, questions: &[Known]) {
    let home = Home::new();
    let library = home.open();
    add_all(&library, &[handbook("en"), handbook("zh")]);
    let named = format!("handbook.{language}.pdf");
    let both = [("handbook.en.pdf", chapters("en")), ("handbook.zh.pdf", chapters("zh"))];
    let mut wrong = Vec::new();
    for &(question, page, must_say) in questions {
        let answer = ask(&library, question);
        for citation in answer.citations() {
            let (_, chapters) =
                both.iter().find(|(file, _)| *file == citation.filename).expect("a handbook");
            let pages = &chapters[citation.page_start as usize - 1..citation.page_end as usize];
            assert!(
                pages.concat().contains(&letters(&citation.quote)),
                "{question}: {:?} does not stand on page {}",
                citation.quote,
                citation.page_start
            );
        }
        let cites = answer.citations().any(|citation| {
            citation.filename == named
                && (citation.page_start..=citation.page_end).contains(&page)
                && letters(&citation.quote).contains(&letters(must_say))
        });
        if !cites {
            wrong.push(format!("{question} (page {page})\n{}", answer.text()));
        }
    }
    assert!(wrong.is_empty(), "no citation of the known page:\n{}", wrong.join("\n\n"));
}

#[test]
fn a_question_the_documents_do_not_answer_is_not_answered_from_them() {
    let home = Home::new();
    let library = home.open();
    add_all(&library, &[home.write("cats.md", "# Cats\n\nCats sleep sixteen hours a day.\n")]);
    let answer = ask(&library, "Wie hoch ist der Eiffelturm?");
    assert_eq!(answer.citations().count(), 0, "{}", answer.text());
}
