//! Conversations as a model expects to read them.
//!
//! Templates come as programs (Jinja). This room does not run programs of strangers: it knows the forms of ChatML and
//! refuses the rest by name. Knowing the form is also what lets a message's own text be encoded without special
//! tokens, so that nobody ends a turn from inside it.

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    System,
    User,
    Assistant,
}

impl Role {
    /// As templates call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// One turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub role: Role,
    pub content: String,
}

impl Message {
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into() }
    }
}

/// Marks of ChatML.
pub(super) const START: &str = "<|im_start|>";
pub(super) const END: &str = "<|im_end|>";

/// ChatML: every turn is `<|im_start|>role`, a line break, the text, `<|im_end|>`, a line break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatMl {
    /// What the system says where a conversation does not begin with it.
    pub system: Option<String>,
}

/// A stretch of a rendered conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A special token.
    Mark(&'static str),
    /// Text that holds none, whatever it says.
    Text(String),
}

/// What stands around the system's default text, and the loop over all messages, in the templates known here.
const LOOP: &str = "{% for message in messages %}";
const DEFAULT: &str =
    "{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\n";
const DEFAULT_END: &str = "<|im_end|>\n' }}{% endif %}";
const TURNS: &str = "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}\
    {% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

impl ChatMl {
    /// Reads a template; none if it is not one of the forms known here.
    pub fn of_template(template: &str) -> Option<Self> {
        let template = template.trim().replace("\\n", "\n");
        let inner = template.strip_prefix(LOOP)?.strip_suffix(TURNS)?;
        if inner.is_empty() {
            return Some(Self { system: None });
        }
        let system = inner.strip_prefix(DEFAULT)?.strip_suffix(DEFAULT_END)?;
        let plain = !system.contains(['\'', '\\', '{', '}']);
        plain.then(|| Self { system: Some(system.into()) })
    }

    /// A conversation as the model reads it; `reply` begins the assistant's turn.
    pub fn render(&self, messages: &[Message], reply: bool) -> String {
        let pieces = self.pieces(messages, reply).into_iter().map(|piece| match piece {
            Piece::Mark(mark) => mark.to_owned(),
            Piece::Text(text) => text,
        });
        pieces.collect()
    }

    pub(super) fn pieces(&self, messages: &[Message], reply: bool) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut turn = |role: Role, content: &str| {
            pieces.push(Piece::Mark(START));
            pieces.push(Piece::Text(format!("{}\n{content}", role.name())));
            pieces.push(Piece::Mark(END));
            pieces.push(Piece::Text("\n".into()));
        };
        let first = messages.first().filter(|first| first.role != Role::System);
        if let (Some(_), Some(system)) = (first, &self.system) {
            turn(Role::System, system);
        }
        messages.iter().for_each(|m| turn(m.role, &m.content));
        if reply {
            pieces.push(Piece::Mark(START));
            pieces.push(Piece::Text(format!("{}\n", Role::Assistant.name())));
        }
        pieces
    }
}
