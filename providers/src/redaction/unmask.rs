use super::Vault;

/// Puts back what was masked in a text that comes in pieces. What may be the beginning of a placeholder is held back
/// until it is known, so the result never depends on where the pieces were cut.
#[derive(Debug)]
pub struct Unmasker<'a> {
    vault: &'a Vault,
    longest: usize,
    held: String,
}

impl<'a> Unmasker<'a> {
    pub(super) fn new(vault: &'a Vault) -> Self {
        Self { vault, longest: vault.longest(), held: String::new() }
    }

    /// Takes a piece and returns what can be handed on.
    pub fn push(&mut self, piece: &str) -> String {
        if self.longest == 0 {
            return piece.to_owned();
        }
        self.held.push_str(piece);
        let mut out = String::new();
        loop {
            let Some(opening) = self.held.find('[') else {
                out.push_str(&std::mem::take(&mut self.held));
                return out;
            };
            let rest = self.held.split_off(opening);
            out.push_str(&std::mem::replace(&mut self.held, rest));
            let Some(closing) = self.held.find(']').filter(|closing| *closing < self.longest) else {
                if self.held.len() < self.longest {
                    return out;
                }
                // Too long to be a placeholder.
                self.pass_bracket(&mut out);
                continue;
            };
            let rest = self.held.split_off(closing + 1);
            match self.vault.value(&self.held) {
                Some(value) => {
                    out.push_str(value);
                    self.held = rest;
                }
                None => {
                    // Another may begin within it.
                    self.held.push_str(&rest);
                    self.pass_bracket(&mut out);
                }
            }
        }
    }

    fn pass_bracket(&mut self, out: &mut String) {
        out.push('[');
        self.held.remove(0);
    }

    /// What was still held back, once the text has ended.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}
