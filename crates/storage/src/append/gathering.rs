//! The part that is being filled.

use bytes::Bytes;

use super::block::Block;
use super::budget::{BEGINNING, PartBudget, Reservation};
use crate::Result;

/// The bytes of one part so far, in memory that was reserved before.
#[derive(Default)]
pub(super) struct Gathering {
    held: Option<Held>,
}

struct Held {
    block: Block,
    room: u64,
    reservation: Reservation,
}

impl Gathering {
    pub(super) fn size(&self) -> u64 {
        self.held.as_ref().map_or(0, |held| held.block.len() as u64)
    }

    /// Makes sure that `more` bytes can be added, of a part that will have `part_size`. May wait.
    pub(super) async fn make_room(
        &mut self,
        more: u64,
        part_size: u64,
        budget: &PartBudget,
        driver: &'static str,
    ) -> Result<()> {
        let needed = self.size() + more;
        if self.held.as_ref().is_some_and(|held| needed <= held.room) {
            return Ok(());
        }
        if needed <= BEGINNING {
            let reservation = budget.beginning(driver).await?;
            self.held = Some(Held { block: Block::small(), room: BEGINNING, reservation });
            return Ok(());
        }
        let room = part_size.max(needed);
        let reservation = budget.part(room, driver).await?;
        let mut block = budget.idle.block(usize::try_from(room).unwrap_or(usize::MAX));
        if let Some(beginning) = &self.held {
            block.extend(beginning.block.as_ref());
        }
        self.held = Some(Held { block, room, reservation });
        Ok(())
    }

    /// Adds bytes for which room was made.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        if let Some(held) = &mut self.held {
            held.block.extend(bytes);
        }
    }

    /// The bytes in one piece, and what is to be kept until they are where they belong.
    pub(super) fn freeze(self) -> (Bytes, Option<Reservation>) {
        match self.held {
            Some(held) => (held.block.freeze(), Some(held.reservation)),
            None => (Bytes::new(), None),
        }
    }
}
