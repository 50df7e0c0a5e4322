//! A thread's messages as a model sees them, read from the newest back, no further than needed.

use docent_core::{
    Annotation, AnnotationTarget, ChatMessage, Content, Direction, Key, Message, MessageRole, Read,
    Result, Role, Run, Scan, Seq, Truncation,
};

use crate::context::Past;
use crate::tables::{MESSAGES, parent};

/// A thread's messages before a run, newest first; those of the run itself are left out, and so
/// are those beyond what its truncation allows.
pub(crate) fn newest_first<'a>(
    read: &'a (dyn Read + 'a),
    run: &'a Run,
) -> impl Iterator<Item = Result<Message>> + 'a {
    let most = match run.truncation {
        Truncation::Auto => usize::MAX,
        Truncation::LastMessages(most) => most as usize,
    };
    all(read, run).take(most).map(|row| row.map(|(_, message)| message))
}

/// A thread's whole history before a run, newest first, as a prompt is put together from it.
pub(crate) fn past<'a>(
    read: &'a (dyn Read + 'a),
    run: &'a Run,
) -> impl Iterator<Item = Result<Past>> + 'a {
    all(read, run).map(|row| {
        let (place, message) = row?;
        Ok(Past { place, id: message.id, message: shown(&message) })
    })
}

fn all<'a>(
    read: &'a (dyn Read + 'a),
    run: &'a Run,
) -> impl Iterator<Item = Result<(Seq, Message)>> + 'a {
    let rows = Backwards { read, prefix: parent(&run.thread), after: None, page: Vec::new() };
    rows.filter(|row| !matches!(row, Ok((_, message)) if message.run == Some(run.id)))
}

/// Reads a thread a few messages at a time: a long one is never loaded whole.
struct Backwards<'a> {
    read: &'a dyn Read,
    prefix: String,
    after: Option<String>,
    /// Read but not yet given, oldest first.
    page: Vec<(Seq, Message)>,
}

impl Backwards<'_> {
    fn load(&mut self) -> Result<()> {
        const PAGE: usize = 32;
        let scan = Scan {
            prefix: &self.prefix,
            after: self.after.as_deref(),
            limit: PAGE,
            direction: Direction::Backward,
        };
        let rows = MESSAGES.scan(self.read, scan)?;
        if let Some((key, _)) = rows.last() {
            self.after = Some(key.to_text());
        }
        self.page = rows.into_iter().map(|((_, place), message)| (place, message)).rev().collect();
        Ok(())
    }
}

impl Iterator for Backwards<'_> {
    type Item = Result<(Seq, Message)>;

    fn next(&mut self) -> Option<Result<(Seq, Message)>> {
        if self.page.is_empty()
            && let Err(error) = self.load()
        {
            return Some(Err(error));
        }
        self.page.pop().map(Ok)
    }
}

/// A message as a model sees it: without the markers of earlier citations, which would name other
/// passages now, and with images as a note. Links to files stay. None if nothing is left.
pub(crate) fn shown(message: &Message) -> Option<ChatMessage> {
    let parts: Vec<String> = message.content.iter().filter_map(shown_part).collect();
    let text = parts.join("\n");
    let role = match message.role {
        MessageRole::User => Role::User,
        MessageRole::Assistant => Role::Assistant,
    };
    (!text.trim().is_empty()).then(|| ChatMessage::new(role, text))
}

/// What a model is told of an image: no socket carries images, and it must not seem that none was
/// sent. The address may be the whole image as text.
fn unseen(image: &str) -> String {
    const LONGEST: usize = 200;
    let shown: String = image.chars().take(LONGEST).collect();
    format!("[image {shown} not shown: this model sees no images]")
}

fn shown_part(part: &Content) -> Option<String> {
    match part {
        Content::Text { text, annotations } => {
            let is_marker =
                |mark: &&Annotation| !matches!(mark.target, AnnotationTarget::FilePath { .. });
            let markers: Vec<&Annotation> = annotations.iter().filter(is_marker).collect();
            let mut shown = String::with_capacity(text.len());
            for (at, c) in (0u64..).zip(text.chars()) {
                if !markers.iter().any(|mark| (mark.start..mark.end).contains(&at)) {
                    shown.push(c);
                }
            }
            Some(shown)
        }
        Content::ImageFile { file, .. } => Some(unseen(&file.to_string())),
        Content::ImageUrl { url, .. } => Some(unseen(url)),
        Content::Refusal { refusal } => Some(refusal.clone()),
        _ => None,
    }
}
