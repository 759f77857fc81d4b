//! Function words: they say nothing about what a text is about, and stand in nearly all of them.

use std::collections::HashSet;
use std::sync::LazyLock;

/// In the form that [`normalise`](crate::normalise) gives them, what is left of a contraction before its apostrophe as well.
static FUNCTIONS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    let english = "a an the and or but nor if of to in on at by for from with into onto than then as is are was were be been \
        being am do does did doing have has had having i me my mine myself we us our ours ourselves you your yours yourself \
        yourselves he him his himself she her hers herself it its itself they them their theirs themselves this that these \
        those there here who whom whose which what when where why how can could would should will shall may might must not \
        no so too very just because while until through during both each such own same only once \
        don doesn didn isn aren wasn weren hasn haven hadn couldn wouldn shouldn mustn needn ain";
    let arabic = "في من علي الي عن مع هذا هذه ذلك تلك هولاء اوليك هو هي هم هن هما نحن انا انت انتم التي الذي الذين اللذين \
        اللواتي ما ماذا متي اين كيف لماذا هل لا لم لن قد لقد كان كانت كانوا يكون تكون ان انه انها اذا او ام و ثم بل لكن ولكن \
        عند لدي لو يا منذ حتي اذ اي كما ليس ليست ايضا فقط به بها له لها لهم فيه فيها منه منها عليه عليها اليه اليها وهو وهي وفي \
        وقد ولم ولا ولن وان وكان ومن وما وعلي والي وعن ومع فان فهو فهي بين ال";
    english.split_whitespace().chain(arabic.split_whitespace()).collect()
});

/// Whether a word in its plain form says nothing by itself.
pub(crate) fn is_function(word: &str) -> bool {
    // The longest of them has fourteen bytes; most words need not be looked up.
    word.len() <= 16 && FUNCTIONS.contains(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalise;

    #[test]
    fn they_are_in_their_plain_form_and_short_enough_to_be_looked_up() {
        for word in FUNCTIONS.iter() {
            assert!(is_function(&normalise(word)), "{word}");
        }
    }
}
