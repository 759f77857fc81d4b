//! The names in slices. The template engine can tell which names a template reads, but in `document[:n]` it sees only
//! `n`: a misspelt `documnt[:n]` would pass, and `document` would seem unused. So names are looked for in a copy whose
//! slices are plain subscripts, `document[0~n]`. The copy is never rendered.

/// The template with every slice turned into a subscript that reads the same names.
pub(super) fn without_slices(source: &str) -> String {
    let mut copy = String::with_capacity(source.len() + 16);
    let mut chars = source.chars().peekable();
    // What is open within a tag: brackets and braces. `None` outside of tags.
    let mut open: Option<Vec<char>> = None;
    let mut quote: Option<char> = None;
    let mut before = ' ';
    while let Some(c) = chars.next() {
        let next = chars.peek().copied().unwrap_or(' ');
        match &mut open {
            None => {
                copy.push(c);
                if c == '{' && matches!(next, '{' | '%') {
                    chars.next();
                    copy.push(next);
                    open = Some(Vec::new());
                    before = ' ';
                }
                continue;
            }
            Some(open) if quote.is_none() => match c {
                '\'' | '"' => quote = Some(c),
                '[' | '{' | '(' => open.push(c),
                ']' | ')' => _ = open.pop(),
                '}' if open.last() == Some(&'{') => _ = open.pop(),
                ':' if open.last() == Some(&'[') => {
                    let rest = chars.clone().find(|c| !c.is_whitespace()).unwrap_or(' ');
                    copy.push_str(if matches!(before, '[' | ':') { "0~" } else { "~" });
                    if rest == ']' {
                        copy.push('0');
                    }
                    before = ':';
                    continue;
                }
                _ => {}
            },
            Some(_) if c == '\\' => {
                copy.push(c);
                copy.extend(chars.next());
                continue;
            }
            Some(_) => quote = quote.filter(|quote| *quote != c),
        }
        copy.push(c);
        if !c.is_whitespace() {
            before = c;
        }
        // A tag ends outside of everything that it has opened.
        if quote.is_none() && matches!(c, '}' | '%') && next == '}' && open.as_ref().is_some_and(Vec::is_empty) {
            chars.next();
            copy.push('}');
            open = None;
        }
    }
    copy
}

#[cfg(test)]
mod tests {
    use super::without_slices;

    #[test]
    fn slices_become_subscripts_and_the_rest_stays() {
        for (source, copy) in [
            ("a: b {{ x[:10] }} c: d", "a: b {{ x[0~10] }} c: d"),
            ("{{ x[1:] }}{{ x[a:b] }}{{ x[:] }}", "{{ x[1~0] }}{{ x[a~b] }}{{ x[0~0] }}"),
            ("{{ x[::2] }}{{ x[ 1 : 2 : 3 ] }}", "{{ x[0~0~2] }}{{ x[ 1 ~ 2 ~ 3 ] }}"),
            ("{{ y.z[f(q)[:n]:] }}", "{{ y.z[f(q)[0~n]~0] }}"),
            ("{% if x[:3] == '[:]' %}[:1]{% endif %}", "{% if x[0~3] == '[:]' %}[:1]{% endif %}"),
            (r#"{{ "a\":[:" ~ x[:1] }}"#, r#"{{ "a\":[:" ~ x[0~1] }}"#),
            ("{{ {'a': [1, x[:2]], 'b': {}} }} [:3] {{", "{{ {'a': [1, x[0~2]], 'b': {}} }} [:3] {{"),
            ("{{ {}}} {{ x[:1] }}", "{{ {}}} {{ x[0~1] }}"),
        ] {
            assert_eq!(without_slices(source), copy);
        }
    }
}
