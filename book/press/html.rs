//! The tags of a rendered page, with their attributes.
//!
//! mdBook writes its pages through a serializer, so tags are closed and values stand in quotes.
//! That is all this needs to rely on; it is no parser for the web at large.

/// An opening tag.
#[derive(Debug, PartialEq, Eq)]
pub struct Tag<'a> {
    /// Its name, such as `a`.
    pub name: &'a str,
    attributes: Vec<(&'a str, &'a str)>,
}

impl<'a> Tag<'a> {
    /// The value of an attribute.
    #[must_use]
    pub fn get(&self, attribute: &str) -> Option<&'a str> {
        self.attributes.iter().find(|(name, _)| *name == attribute).map(|(_, value)| *value)
    }
}

/// Every opening tag of a page, in order; what stands in scripts, styles and comments is left out.
#[must_use]
pub fn tags(mut page: &str) -> Vec<Tag<'_>> {
    let mut tags = Vec::new();
    while let Some(start) = page.find('<') {
        page = &page[start + 1..];
        if let Some(comment) = page.strip_prefix("!--") {
            page = after(comment, "-->");
        } else if page.starts_with(|c: char| c.is_ascii_alphabetic()) {
            let (tag, rest) = tag(page);
            page = match tag.name {
                "script" => after(rest, "</script>"),
                "style" => after(rest, "</style>"),
                _ => rest,
            };
            tags.push(tag);
        }
    }
    tags
}

/// Reads a tag whose `<` is already behind us.
fn tag(text: &str) -> (Tag<'_>, &str) {
    let (name, mut rest) = word(text);
    let mut attributes = Vec::new();
    loop {
        rest = rest.trim_start().trim_start_matches('/');
        if let Some(rest) = rest.strip_prefix('>') {
            return (Tag { name, attributes }, rest);
        }
        let (attribute, behind) = word(rest);
        if attribute.is_empty() {
            return (Tag { name, attributes }, behind);
        }
        let (value, behind) = match behind.strip_prefix("=\"") {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => behind.strip_prefix('=').map_or(("", behind), word),
        };
        attributes.push((attribute, value));
        rest = behind;
    }
}

fn word(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| c.is_whitespace() || matches!(c, '=' | '>' | '/'));
    text.split_at(end.unwrap_or(text.len()))
}

fn after<'a>(text: &'a str, end: &str) -> &'a str {
    text.split_once(end).map_or("", |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::tags;

    #[test]
    fn tags_come_with_their_attributes() {
        let page = "<!-- <a href=\"no\"> --><a class=x href=\"a.html#b\" hidden>1 < 2</a><script>\"<b>\"</script><br/>";
        let tags = tags(page);
        assert_eq!(tags.iter().map(|tag| tag.name).collect::<Vec<_>>(), ["a", "script", "br"]);
        assert_eq!(tags[0].get("href"), Some("a.html#b"));
        assert_eq!(tags[0].get("class"), Some("x"));
        assert_eq!(tags[0].get("hidden"), Some(""));
        assert_eq!(tags[0].get("id"), None);
    }
}
