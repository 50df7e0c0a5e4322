//! Tools in words, for models whose chat template takes none.

use docent_core::{ChatMessage, Role, ToolCall, ToolSpec};
use serde_json::{Value, json};

/// What such a model is told. Hermes' form, which more models have seen than any other.
const INSTRUCTIONS: &str = "\
You may call tools. To call one, write this and nothing else:
<tool_call>
{\"name\": \"the tool's name\", \"arguments\": {its arguments}}
</tool_call>
If no tool helps, answer in plain text. The tools are:";

/// As much of a message as says what is wanted of a tool, in characters.
const MESSAGE_CHARS: usize = 1500;

const DECISION: &str = "\
Decide whether one of the tools is needed to do what the message asks. If one is, answer with its \
name and arguments; if none is, answer with none.";

/// What a decision looks like: tools, message, decision.
const EXAMPLES: &[(&str, &str, &str)] = &[
    (
        "- local_time: Tells what time it is in a city. Arguments: city",
        "What time is it in Lisbon?",
        "{\"tool\": \"local_time\", \"arguments\": {\"city\":\"Lisbon\"}}",
    ),
    (
        "- local_time: Tells what time it is in a city. Arguments: city",
        "Why is the sky blue?",
        "{\"tool\": \"none\"}",
    ),
    (
        "- play_song: Plays a song. Arguments: title, artist\n\
         - add_note: Writes a note down. Arguments: text",
        "Note that the rent is due on Friday.",
        "{\"tool\": \"add_note\", \"arguments\": {\"text\":\"The rent is due on Friday.\"}}",
    ),
    (
        "- play_song: Plays a song. Arguments: title, artist\n\
         - add_note: Writes a note down. Arguments: text",
        "Thank you, that was helpful!",
        "{\"tool\": \"none\"}",
    ),
];

/// The conversation with its tools, calls and outputs as text.
pub(in crate::chat::local) fn folded(
    messages: &[ChatMessage],
    tools: &[ToolSpec],
) -> Vec<ChatMessage> {
    let mut folded: Vec<ChatMessage> = Vec::with_capacity(messages.len() + 1);
    for message in messages {
        match (message.role, folded.last_mut()) {
            // Templates want user and assistant by turns, and calls come several at a time.
            (Role::Tool, Some(last)) if last.role == Role::User => {
                last.content.push_str(&format!("\n{}", output(message)));
            }
            (Role::Tool, _) => folded.push(ChatMessage::new(Role::User, output(message))),
            _ => folded.push(ChatMessage::new(message.role, with_calls(message))),
        }
    }
    if !tools.is_empty() {
        let tools: Vec<String> = tools.iter().map(|tool| definition(tool).to_string()).collect();
        add_to_system(&mut folded, &format!("{INSTRUCTIONS}\n{}", tools.join("\n")));
    }
    folded
}

fn add_to_system(messages: &mut Vec<ChatMessage>, text: &str) {
    match messages.first_mut().filter(|first| first.role == Role::System) {
        Some(system) => system.content.push_str(&format!("\n\n{text}")),
        None => messages.insert(0, ChatMessage::new(Role::System, text)),
    }
}

fn output(message: &ChatMessage) -> String {
    format!("<tool_response>\n{}\n</tool_response>", message.content)
}

fn with_calls(message: &ChatMessage) -> String {
    let calls = message.tool_calls.iter().map(|ToolCall { name, arguments, .. }| {
        let arguments: Value = serde_json::from_str(arguments).unwrap_or_else(|_| json!({}));
        let name = Value::from(name.as_str());
        format!("<tool_call>\n{{\"name\": {name}, \"arguments\": {arguments}}}\n</tool_call>")
    });
    let said = (!message.content.is_empty()).then(|| message.content.clone());
    said.into_iter().chain(calls).collect::<Vec<_>>().join("\n")
}

fn definition(tool: &ToolSpec) -> Value {
    json!({
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
    })
}

/// The question whether the last message of `messages` needs one of the tools, with examples that
/// show a small model what is asked of it.
pub(in crate::chat::local) fn decision(
    messages: &[ChatMessage],
    tools: &[ToolSpec],
) -> Vec<ChatMessage> {
    let asked = messages.iter().rfind(|message| message.role == Role::User);
    let asked = asked.map_or("", |message| message.content.as_str());
    let asked: String = asked.chars().take(MESSAGE_CHARS).collect();
    let tools: Vec<String> = tools.iter().map(in_short).collect();
    let question = |tools: &str, message: &str| {
        ChatMessage::new(Role::User, format!("Tools:\n{tools}\n\nMessage: {message}"))
    };
    let mut prompt = vec![ChatMessage::new(Role::System, DECISION)];
    for (tools, message, decision) in EXAMPLES {
        prompt.push(question(tools, message));
        prompt.push(ChatMessage::new(Role::Assistant, *decision));
    }
    prompt.push(question(&tools.join("\n"), &asked));
    prompt
}

fn in_short(tool: &ToolSpec) -> String {
    let properties = tool.parameters.get("properties").and_then(Value::as_object);
    let argument =
        |(name, schema): (&String, &Value)| match schema.get("description").and_then(Value::as_str)
        {
            Some(description) => format!("{name} ({description})"),
            None => name.clone(),
        };
    let arguments: Vec<String> = properties.into_iter().flatten().map(argument).collect();
    let arguments = if arguments.is_empty() { "none".to_owned() } else { arguments.join(", ") };
    format!("- {}: {} Arguments: {arguments}", tool.name, tool.description)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool() -> ToolSpec {
        ToolSpec {
            name: "look".into(),
            description: "Looks something up.".into(),
            parameters: json!({ "properties": { "what": { "description": "a word" }, "where": {} } }),
        }
    }

    #[test]
    fn tools_calls_and_outputs_become_text_and_turns_stay_by_turns() {
        let mut asked = ChatMessage::new(Role::Assistant, "I look.");
        let call = |arguments: &str| ToolCall {
            id: "call_000000000000000000000001".parse().unwrap(),
            name: "look".into(),
            arguments: arguments.into(),
        };
        asked.tool_calls = vec![call("{\"what\": \"rain\"}"), call("no JSON")];
        let messages = [
            ChatMessage::new(Role::System, "Be kind."),
            ChatMessage::new(Role::User, "Rain?"),
            asked,
            ChatMessage::new(Role::Tool, "wet"),
            ChatMessage::new(Role::Tool, "dry"),
        ];
        let folded = folded(&messages, &[tool()]);
        let roles: Vec<Role> = folded.iter().map(|message| message.role).collect();
        assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::User]);
        assert!(folded[0].content.starts_with("Be kind.\n\nYou may call tools."));
        assert!(folded[0].content.contains("{\"name\":\"look\",\"description\""));
        assert_eq!(
            folded[2].content,
            "I look.\n<tool_call>\n{\"name\": \"look\", \"arguments\": {\"what\":\"rain\"}}\n\
             </tool_call>\n<tool_call>\n{\"name\": \"look\", \"arguments\": {}}\n</tool_call>"
        );
        assert_eq!(
            folded[3].content,
            "<tool_response>\nwet\n</tool_response>\n<tool_response>\ndry\n</tool_response>"
        );
    }

    #[test]
    fn a_decision_is_asked_about_the_newest_question() {
        let messages = ["old", "new"].map(|text| ChatMessage::new(Role::User, text));
        let prompt = decision(&messages, &[tool()]);
        let asked = &prompt.last().unwrap().content;
        assert_eq!(
            asked,
            "Tools:\n- look: Looks something up. Arguments: what (a word), where\n\nMessage: new"
        );
        let long = [ChatMessage::new(Role::User, "word ".repeat(5000))];
        assert!(decision(&long, &[tool()]).last().unwrap().content.len() < 2000);
    }
}
