//! Access scopes: what is read prints to something that is read the same, and grants no more than it says.

#![no_main]

use entrepot_oci::Scope;
use entrepot_oci::scope::{Action, MAX_SCOPES};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(list) = Scope::parse_list(text) else { return };
    assert!(list.len() <= MAX_SCOPES);
    for one in &list {
        assert_eq!(one.to_string().parse().as_ref(), Ok(one));
        assert!(one.covers(one));
        assert!(one.allows(&Action::All) || one.actions().iter().all(|action| *action != Action::All));
        for two in &list {
            let both = one.intersect(two);
            assert_eq!(both.is_some(), one.same_resource(two));
            assert!(both.is_none_or(|both| one.covers(&both) && two.covers(&both)));
        }
    }
});
