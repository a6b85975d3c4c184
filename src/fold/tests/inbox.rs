//! Events as they are written down.

use super::{
    super::inbox::{read, written},
    history::{block, events, genesis, name},
};

#[test]
fn an_event_is_read_as_it_was_written_now_or_by_an_older_version() {
    let block = block(&genesis(7).at, 1, 5, vec![(name("a"), 9), (name("b"), 255)]);
    for event in events(7, &block) {
        assert_eq!(read(&written(&event)).unwrap(), event);
        assert_eq!(read(&serde_json::to_vec(&event).unwrap()).unwrap(), event);
    }
    assert!(read(&[1, 3]).is_err() && read(&[]).is_err());
}
