use docent_core::{ErrorKind, FileId, IdSource, Sampling, SequentialIds};
use proptest::prelude::*;

use super::*;

fn passages(texts: &[&str]) -> Vec<Passage> {
    let ids = SequentialIds::default();
    let passage = |(at, text): (usize, &&str)| Passage {
        number: at + 1,
        file: FileId::new(ids.next_id()),
        filename: format!("file-{at}.pdf"),
        page: 1,
        text: (*text).to_owned(),
        score: 1.0 - at as f32 / 10.0,
    };
    texts.iter().enumerate().map(passage).collect()
}

fn ask(question: &str, texts: &[&str]) -> String {
    answer(question, &passages(texts))
}

const INSTALLING: &str = "Installing Docent

Docent is a single program. To install it from source you need the Rust toolchain, version 1.92
or newer, and a C compiler. Run the following command in the directory you cloned:

    $ cargo install --path crates/cli

The first build takes about twelve minutes, because the numeric crates are compiled with all
optimisations. Later builds are much faster.

12

Removing Docent

To remove it, delete the binary and the library directory. Nothing else is written to your disk.";

const CHUNKING: &str = "he overlap is kept small on purpose. Every document is cut into chunks of 800 tokens that overlap
by 400 tokens. The size can be set between 100 and 4096 tokens when a vector store is created;
the overlap may be at most half of the size. A chunk never cuts a character in two, and each chunk
remembers the pages it came from. Larger chunks give the model more context, smaller ones give
more precise citations (see Fig. 3 on p. 14). Dr. Smith's study of 2019 found no single best size. The choice depen";

const CACHING: &str = "Caches live under indexes/. You may delete the directory while Docent is stopped: it is built again
from the store when the library is next opened, and every answer stays the same. Embeddings are
kept by the hash of their text, so no text is embedded twice.";

#[test]
fn the_sentence_that_answers_is_quoted_with_its_passage() {
    let texts = [INSTALLING, CHUNKING, CACHING];
    let cases = [
        (
            "How many tokens does a chunk have by default?",
            "chunks of 800 tokens that overlap by 400 tokens. [2]",
        ),
        ("How long does the first build take?", "The first build takes about twelve minutes"),
        (
            "How do I uninstall or remove Docent?",
            "To remove it, delete the binary and the library directory. [1]",
        ),
        (
            "Can I delete the indexes directory?",
            "You may delete the directory while Docent is stopped",
        ),
        ("Which Rust version is needed?", "you need the Rust toolchain, version 1.92 or newer"),
        ("What did Dr. Smith find?", "Dr. Smith's study of 2019 found no single best size. [2]"),
    ];
    for (question, expected) in cases {
        let answer = ask(question, &texts);
        let first = answer.lines().next().unwrap();
        assert!(first.contains(expected), "{question}\n{answer}");
    }
}

#[test]
fn commands_follow_the_sentence_that_announces_them() {
    let answer = ask("How do I install it from source?", &[INSTALLING]);
    assert!(answer.contains("- Run the following command in the directory you cloned: [1]\n- $ cargo install --path crates/cli [1]"), "{answer}");
}

#[test]
fn halves_of_sentences_and_page_numbers_are_not_quoted() {
    for question in
        ["Is the overlap small?", "What does the choice depend on?", "page 12", "chunks"]
    {
        let answer = ask(question, &[INSTALLING, CHUNKING]);
        assert!(!answer.contains("he overlap is kept"), "{answer}");
        assert!(!answer.contains("depen ["), "{answer}");
        assert!(!answer.contains("12 ["), "{answer}");
    }
}

#[test]
fn a_note_without_a_full_stop_is_quoted() {
    assert_eq!(ask("What is the door code?", &["Door code 4711"]), "Door code 4711 [1]");
}

#[test]
fn what_two_passages_repeat_is_said_once() {
    let half = "Every document is cut into chunks of 800 tokens that overlap by 400 tokens. The size can be set.";
    let answer =
        ask("How large are chunks in tokens and how much do they overlap?", &[CHUNKING, half]);
    assert_eq!(answer.matches("chunks of 800 tokens").count(), 1, "{answer}");
}

const CHINESE: &str = "第二章　安装与卸载

安装之前请确认系统中已有
Rust 工具链（1.92 或更新版本）和 C 编译器。首次构建大约需要十二分钟，因为数值计算库会以最高优化级别编译。
卸载时，删除可执行文件和资料库目录即可。

- 8 -

每个文档被切成八百个词元的片段，相邻片段重叠四百个词元。片段大小可以在一百到四千零九十六之间设置！
较大的片段给模型更多上下文；较小的片段让引用更精确。";

const CHINESE_OTHER: &str =
    "索引目录可以在程序停止时删除。下次打开资料库时会自动重建，结果完全相同。";

#[test]
fn chinese_questions_are_answered_in_whole_chinese_sentences() {
    let texts = [CHINESE_OTHER, CHINESE];
    let cases = [
        ("如何卸载？", "卸载时，删除可执行文件和资料库目录即可。 [2]"),
        ("首次构建需要多长时间？", "首次构建大约需要十二分钟"),
        ("一个片段有多少个词元？", "每个文档被切成八百个词元的片段，相邻片段重叠四百个词元。 [2]"),
        ("可以删除索引目录吗？", "索引目录可以在程序停止时删除。 [1]"),
        (
            "安装之前需要什么？",
            "安装之前请确认系统中已有 Rust 工具链（1.92 或更新版本）和 C 编译器。 [2]",
        ),
    ];
    for (question, expected) in cases {
        let answer = ask(question, &texts);
        let first = answer.lines().next().unwrap();
        assert!(first.contains(expected), "{question}\n{answer}");
    }
}

#[test]
fn nothing_found_is_said_in_the_language_of_the_question() {
    assert_eq!(
        ask("Where is the key?", &[]),
        "I found nothing in the documents that answers this."
    );
    assert_eq!(ask("钥匙在哪里？", &[]), "在文档中没有找到能回答这个问题的内容。");
    assert_eq!(ask("Where is the key?", &["....... 12\n\n13"]), Language::English.nothing_found());
}

#[test]
fn a_question_in_another_language_gets_the_closest_and_is_told_so() {
    let answer = ask("如何删除缓存？", &[CACHING]);
    assert!(answer.starts_with(Language::Chinese.only_closest()), "{answer}");
    assert!(answer.contains("Caches live under indexes/. [1]"), "{answer}");
}

#[test]
fn a_very_long_sentence_is_clipped_where_the_answer_is() {
    let filler = "the committee considered further matters of the agenda, ".repeat(30);
    let text =
        format!("First {filler}and the budget was fixed at ninety crowns, {filler}then all left.");
    let answer = ask("What was the budget fixed at?", &[&text]);
    assert!(answer.contains("the budget was fixed at ninety crowns"), "{answer}");
    assert!(answer.chars().count() < 450, "{answer}");
    assert!(text.contains(answer.strip_suffix(" [1]").unwrap()));
}

#[test]
fn lists_are_quoted_item_by_item() {
    let text = "Supported formats\n\nDocent reads these formats:\n• PDF, with page numbers\n• Markdown and HTML\n\
                • Source code\n\nScanned pages without a text layer are reported as empty.";
    let answer = ask("Which formats does Docent read?", &[text]);
    let expected = "- Docent reads these formats: [1]\n- PDF, with page numbers [1]\n- Markdown and HTML [1]\n- Source code [1]";
    assert!(answer.starts_with(expected), "{answer}");
}

#[test]
fn passages_in_the_prompt_are_not_taken_for_the_question() {
    let passages = passages(&[CACHING, "Whales sing songs of many hours."]);
    let content =
        format!("[1] {}\n[2] {}\nHow long do whales sing?", passages[0].text, passages[1].text);
    let messages = [ChatMessage::new(Role::User, content)];
    let request =
        ChatRequest { messages: &messages, passages: &passages, ..ChatRequest::default() };
    let reply = Extractive::default().chat(&request, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(reply.text, "Whales sing songs of many hours. [2]");
}

#[test]
fn a_question_that_says_little_leans_on_the_one_before() {
    let passages = passages(&[
        "The pump runs at 40 degrees in summer. The valve closes at 12 degrees in winter.",
        "In winter the pump runs at 55 degrees.",
    ]);
    let messages = [
        ChatMessage::new(Role::User, "How warm does the pump run in summer?"),
        ChatMessage::new(Role::Assistant, "40 degrees."),
        ChatMessage::new(Role::User, "And in winter?"),
    ];
    let request =
        ChatRequest { messages: &messages, passages: &passages, ..ChatRequest::default() };
    let reply = Extractive::default().chat(&request, &mut |_| ControlFlow::Continue(())).unwrap();
    assert!(reply.text.contains("In winter the pump runs at 55 degrees. [2]"), "{}", reply.text);
}

#[test]
fn deltas_say_the_text_and_break_ends_it() {
    let passages = passages(&[CHINESE, CHUNKING]);
    let messages = [ChatMessage::new(Role::User, "How large are chunks?")];
    let request =
        ChatRequest { messages: &messages, passages: &passages, ..ChatRequest::default() };
    let model = Extractive::default();
    let mut said = String::new();
    let mut pieces = 0;
    let reply = model.chat(&request, &mut |delta| {
        let ChatDelta::Text(piece) = delta else { panic!("no tools were offered") };
        said.push_str(&piece);
        pieces += 1;
        ControlFlow::Continue(())
    });
    let reply = reply.unwrap();
    assert_eq!((said.as_str(), reply.finish), (reply.text.as_str(), FinishReason::Stop));
    assert!(pieces > 10);
    let broken = model.chat(&request, &mut |_| ControlFlow::Break(())).unwrap();
    assert_eq!(broken.finish, FinishReason::Cancelled);
    assert!(reply.text.starts_with(&broken.text) && !broken.text.is_empty());
    let sampling = Sampling { max_tokens: Some(5), ..Sampling::default() };
    let short =
        model.chat(&ChatRequest { sampling, ..request }, &mut |_| ControlFlow::Continue(()));
    assert_eq!(short.unwrap().finish, FinishReason::Length);
}

#[test]
fn json_is_refused_not_faked() {
    let request =
        ChatRequest { response_format: ResponseFormat::JsonObject, ..ChatRequest::default() };
    let error =
        Extractive::default().chat(&request, &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[test]
fn sentences_end_where_a_reader_ends_them() {
    let text = "See Fig. 3 in Sec. 2.1, e.g. the map. J. Smith et al. wrote it. 他说：“好。”然后走了。Why? Because!";
    assert_eq!(
        sentences::sentences(text),
        [
            "See Fig. 3 in Sec. 2.1, e.g. the map.",
            "J. Smith et al. wrote it.",
            "他说：“好。”",
            "然后走了。",
            "Why?",
            "Because!",
        ]
    );
}

fn squeezed(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

proptest! {
    #[test]
    fn nothing_is_ever_made_up(
        texts in prop::collection::vec("[a-zé中文件。，. \n•\\-#`$0-9(){}A-Z!?]{0,400}", 0..4),
        question in "[a-z中文件 ?？]{0,30}",
    ) {
        let passages = passages(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        let Selection { quotes, .. } = select(&question, &passages);
        prop_assert!(quotes.len() <= 40);
        for quote in quotes {
            let source = squeezed(&passages[quote.number - 1].text);
            prop_assert!(source.contains(&squeezed(&quote.text)), "{:?} not in {:?}", quote.text, source);
            prop_assert!(!quote.text.is_empty());
        }
    }
}
