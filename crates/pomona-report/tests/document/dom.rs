//! The elements of a document as a browser's tokenizer sees them, with what every report must keep to.

#![expect(
    clippy::panic,
    clippy::expect_used,
    reason = "a helper of tests reports by panicking"
)]

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{
    BufferQueue, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

/// An element with its attributes and all text inside it.
#[derive(Debug, Default, Clone)]
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) attrs: HashMap<String, String>,
    pub(crate) text: String,
    /// Indices of the elements around it, outermost first.
    pub(crate) around: Vec<usize>,
}

impl Element {
    pub(crate) fn attr(&self, name: &str) -> &str {
        self.attrs.get(name).map_or("", String::as_str)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Document {
    pub(crate) elements: Vec<Element>,
}

#[derive(Default)]
struct Sink {
    elements: RefCell<Vec<Element>>,
    open: RefCell<Vec<usize>>,
}

const VOID: [&str; 6] = ["meta", "link", "img", "input", "br", "hr"];

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Token, line: u64) -> TokenSinkResult<()> {
        let mut open = self.open.borrow_mut();
        let mut elements = self.elements.borrow_mut();
        match token {
            Token::TagToken(tag) if tag.kind == TagKind::StartTag => {
                let name = tag.name.to_string();
                let in_svg = open.iter().any(|&i| elements[i].name == "svg");
                let attrs = tag
                    .attrs
                    .iter()
                    .map(|a| (a.name.local.to_string(), a.value.to_string()))
                    .collect();
                elements.push(Element {
                    name: name.clone(),
                    attrs,
                    text: String::new(),
                    around: open.clone(),
                });
                if !VOID.contains(&name.as_str()) {
                    open.push(elements.len() - 1);
                }
                match name.as_str() {
                    "script" => TokenSinkResult::RawData(RawKind::ScriptData),
                    "style" => TokenSinkResult::RawData(RawKind::Rawtext),
                    "title" if !in_svg => TokenSinkResult::RawData(RawKind::Rcdata),
                    _ => TokenSinkResult::Continue,
                }
            }
            Token::TagToken(tag) => {
                let last = open.pop().expect("an end tag without a start");
                assert_eq!(
                    elements[last].name,
                    tag.name.to_string(),
                    "tags cross at line {line}"
                );
                TokenSinkResult::Continue
            }
            Token::CharacterTokens(text) => {
                for &i in open.iter() {
                    elements[i].text.push_str(&text);
                }
                TokenSinkResult::Continue
            }
            Token::ParseError(error) => panic!("line {line}: {error}"),
            Token::CommentToken(text) => panic!("a comment: {text}"),
            _ => TokenSinkResult::Continue,
        }
    }
}

/// Parses the document and checks what holds for every report.
pub(crate) fn parse(html: &str) -> Document {
    assert!(html.starts_with("<!DOCTYPE html><html lang=\"en\">"));
    let input = BufferQueue::default();
    input.push_back(StrTendril::from(html));
    let options = TokenizerOpts {
        exact_errors: true,
        ..TokenizerOpts::default()
    };
    let tokenizer = Tokenizer::new(Sink::default(), options);
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    assert!(
        tokenizer.sink.open.borrow().is_empty(),
        "elements are left open"
    );
    let document = Document {
        elements: tokenizer.sink.elements.take(),
    };
    document.check_links();
    document.check_readability();
    document
}

impl Document {
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.elements.iter().filter(move |e| e.name == name)
    }

    pub(crate) fn id(&self, id: &str) -> &Element {
        self.elements
            .iter()
            .find(|e| e.attr("id") == id)
            .unwrap_or_else(|| panic!("no element {id}"))
    }

    /// Elements of a name inside the element with an id.
    pub(crate) fn inside(&self, id: &str, name: &str) -> Vec<&Element> {
        self.elements
            .iter()
            .filter(|e| {
                e.name == name && e.around.iter().any(|&i| self.elements[i].attr("id") == id)
            })
            .collect()
    }

    /// Nothing is fetched, no markup carries code or style, and every reference has its target.
    fn check_links(&self) {
        let mut ids = HashSet::new();
        for e in &self.elements {
            if let Some(id) = e.attrs.get("id") {
                assert!(ids.insert(id.clone()), "the id {id} is there twice");
            }
        }
        for e in &self.elements {
            for (name, value) in &e.attrs {
                assert!(
                    !name.starts_with("on") && name != "style",
                    "{} has the attribute {name}",
                    e.name
                );
                match name.as_str() {
                    "src" => assert!(
                        value.starts_with("data:image/jpeg;base64,")
                            || value.starts_with("data:image/png;base64,"),
                        "{} loads {value}",
                        e.name
                    ),
                    "href" if e.name == "link" => assert_eq!(value, "data:,"),
                    "href" if e.name == "image" => {
                        assert!(value.starts_with("data:image/jpeg;base64,"), "{value}");
                    }
                    "href" => {
                        let target = value
                            .strip_prefix('#')
                            .unwrap_or_else(|| panic!("{} refers to {value}", e.name));
                        assert!(ids.contains(target), "nothing has the id {target}");
                    }
                    "aria-labelledby" => {
                        for target in value.split(' ') {
                            assert!(ids.contains(target), "nothing has the id {target}");
                        }
                    }
                    "srcset" | "action" | "data" | "poster" | "background" | "ping"
                    | "xlink:href" => {
                        panic!("{} has the attribute {name}", e.name)
                    }
                    _ => {}
                }
            }
            assert!(
                ![
                    "iframe", "object", "embed", "base", "form", "audio", "video"
                ]
                .contains(&e.name.as_str())
            );
        }
        let style = &self.all("style").next().expect("a style sheet").text;
        assert!(!style.contains("url(") && !style.contains("@import"));
        for script in self.all("script") {
            assert!(
                !script.text.contains("://")
                    && !script.text.contains("fetch(")
                    && !script.text.contains("import")
            );
        }
    }

    /// Places, lengths and paths of drawings are finite numbers; sizes are not negative; no text of the section shows
    /// what is none.
    pub(crate) fn check_drawings(&self, section: &str) {
        for element in &self.elements {
            for (name, value) in &element.attrs {
                match name.as_str() {
                    "x" | "y" | "x1" | "x2" | "y1" | "y2" | "cx" | "cy" | "r" | "width"
                    | "height"
                        if !value.ends_with('%') =>
                    {
                        let number = value.parse().unwrap_or(f64::NAN);
                        assert!(
                            number.is_finite() && number.abs() < 1e11,
                            "{}: {value}",
                            element.name
                        );
                        assert!(
                            !["r", "width", "height"].contains(&name.as_str()) || number >= 0.0,
                            "{}: {name} is {value}",
                            element.name
                        );
                    }
                    "d" | "viewBox" => assert!(
                        !value.contains("NaN") && !value.contains("inf"),
                        "{}: {value}",
                        element.name
                    ),
                    _ => {}
                }
            }
        }
        let text = &self.id(section).text;
        assert!(!text.contains("NaN") && !text.contains("inf "), "{text}");
    }

    /// Headings do not skip a level, pictures have texts, header cells have a direction, buttons have names.
    fn check_readability(&self) {
        let mut level = 0;
        for e in &self.elements {
            if let Some(next) = e.name.strip_prefix('h').and_then(|d| d.parse::<u32>().ok()) {
                assert!(next <= level + 1, "h{next} follows h{level}");
                assert!(!e.text.trim().is_empty(), "an empty heading");
                level = next;
            }
            match e.name.as_str() {
                "th" => assert!(["row", "col"].contains(&e.attr("scope"))),
                "button" => assert!(!e.text.trim().is_empty()),
                "input" => assert!(!e.attr("aria-label").is_empty()),
                "img" => {
                    assert!(e.attrs.contains_key("alt") && e.attrs.contains_key("width"));
                    assert_eq!(
                        e.attrs.contains_key("src"),
                        !e.attr("alt").is_empty(),
                        "only the empty frame has no text"
                    );
                }
                "svg" => assert!(e.attr("aria-hidden") == "true" || e.attr("role") == "img"),
                _ => {}
            }
        }
        assert_eq!(self.all("h1").count(), 1);
    }
}
