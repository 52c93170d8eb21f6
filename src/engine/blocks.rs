//! A list that grows without moving what it holds.

use std::ops::{Index, IndexMut};

use crate::limits::BLOCK_ENTRIES;

/// A list in blocks of one size. A `Vec` that is full moves all of itself to twice the room; of a
/// million jobs that would hold the loop up.
#[derive(Debug)]
pub(super) struct Blocks<T> {
    /// All are full but the last.
    blocks: Vec<Vec<T>>,
}

impl<T> Default for Blocks<T> {
    fn default() -> Self {
        Self { blocks: Vec::new() }
    }
}

impl<T> Blocks<T> {
    pub(super) fn len(&self) -> usize {
        self.blocks.last().map_or(0, |last| (self.blocks.len() - 1) * BLOCK_ENTRIES + last.len())
    }

    pub(super) fn get(&self, index: usize) -> Option<&T> {
        self.blocks.get(index / BLOCK_ENTRIES)?.get(index % BLOCK_ENTRIES)
    }

    pub(super) fn push(&mut self, value: T) {
        if let Some(last) = self.blocks.last_mut().filter(|last| last.len() < BLOCK_ENTRIES) {
            last.push(value);
            return;
        }
        let mut block = Vec::with_capacity(BLOCK_ENTRIES);
        block.push(value);
        self.blocks.push(block);
    }

    /// Takes the last value off; a block that is empty then goes.
    pub(super) fn pop(&mut self) -> Option<T> {
        let last = self.blocks.last_mut()?;
        let value = last.pop();
        if last.is_empty() {
            self.blocks.pop();
        }
        value
    }
}

impl<T> Index<usize> for Blocks<T> {
    type Output = T;

    fn index(&self, index: usize) -> &T {
        &self.blocks[index / BLOCK_ENTRIES][index % BLOCK_ENTRIES]
    }
}

impl<T> IndexMut<usize> for Blocks<T> {
    fn index_mut(&mut self, index: usize) -> &mut T {
        &mut self.blocks[index / BLOCK_ENTRIES][index % BLOCK_ENTRIES]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_as_any_other_across_its_blocks() {
        let mut blocks = Blocks::default();
        assert_eq!((blocks.len(), blocks.pop()), (0, None));
        assert_eq!(blocks.get(0), None);
        let count = 2 * BLOCK_ENTRIES + 1;
        (0..count).for_each(|value| blocks.push(value));
        assert_eq!(blocks.len(), count);
        assert!((0..count).all(|index| blocks[index] == index));
        assert_eq!(blocks.get(count), None);
        (blocks[0], blocks[count - 1]) = (count - 1, 0);
        assert_eq!((blocks[0], blocks.pop(), blocks.len()), (count - 1, Some(0), count - 1));
        assert_eq!(blocks.get(count - 1), None, "the last block is gone");
        blocks.push(7);
        assert_eq!((blocks[count - 1], blocks.len()), (7, count));
    }

    /// What holds the loop up is a copy of everything; here nothing moves but the list of blocks.
    #[test]
    fn what_it_holds_stays_where_it_is() {
        let mut blocks = Blocks::default();
        blocks.push(0);
        let first = std::ptr::from_ref(&blocks[0]);
        (1..50 * BLOCK_ENTRIES).for_each(|value| blocks.push(value));
        assert_eq!(std::ptr::from_ref(&blocks[0]), first);
        assert!(blocks.blocks.iter().all(|block| block.capacity() == BLOCK_ENTRIES));
    }
}
