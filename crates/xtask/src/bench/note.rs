//! What to know about a figure.

use std::fmt;

/// A remark on one sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    what: String,
    /// How much of it, where it has a measure.
    percent: Option<u32>,
}

impl Note {
    pub(super) fn plain(what: &str) -> Self {
        Self { what: what.to_owned(), percent: None }
    }

    /// `share` is of one.
    pub(super) fn share(what: &str, share: f64) -> Self {
        Self { what: what.to_owned(), percent: Some((share * 100.0).round() as u32) }
    }
}

/// The same remark on some of a row's samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Remark {
    note: Note,
    samples: usize,
    of: usize,
}

/// What was noted on the samples, each remark once, with the largest share of any.
pub(super) fn gather(samples: &[&[Note]]) -> Vec<Remark> {
    let mut remarks: Vec<Remark> = Vec::new();
    for note in samples.iter().copied().flatten() {
        match remarks.iter_mut().find(|remark| remark.note.what == note.what) {
            Some(remark) => {
                remark.samples += 1;
                remark.note.percent = remark.note.percent.max(note.percent);
            }
            None => remarks.push(Remark { note: note.clone(), samples: 1, of: samples.len() }),
        }
    }
    remarks
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.note.what)?;
        if let Some(percent) = self.note.percent {
            write!(f, ", up to {percent} %")?;
        }
        if self.samples < self.of {
            write!(f, ", in {} of {} rounds", self.samples, self.of)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_remark_is_made_once_with_its_worst() {
        let others = |share| Note::share("others took some", share);
        let samples = [vec![others(0.2)], vec![], vec![others(0.35), Note::plain("one by one")]];
        let samples: Vec<_> = samples.iter().map(Vec::as_slice).collect();

        let said: Vec<_> = gather(&samples).iter().map(ToString::to_string).collect();

        assert_eq!(said, ["others took some, up to 35 %, in 2 of 3 rounds", "one by one, in 1 of 3 rounds"]);
    }

    #[test]
    fn a_remark_on_every_sample_does_not_count_them() {
        let always = [Note::plain("one by one")];

        assert_eq!(gather(&[&always, &always])[0].to_string(), "one by one");
    }
}
