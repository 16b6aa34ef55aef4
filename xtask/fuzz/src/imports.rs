//! Imported conversations: what is accepted comes out again, and that goes in again as the same bytes; the rest leaves
//! nothing.

use std::cell::Cell;

use conversation_store::{ConversationStore, ImportChecks, ImportTarget, Imported, StoreError};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

thread_local! {
    /// One store for many imports, since opening one takes longer than all of an import; it goes with its thread.
    static STORE: Store = Store::open();
}

struct Store {
    runtime: Runtime,
    conversations: ConversationStore,
    /// How many imports there were: an id that was deleted stays taken.
    imports: Cell<u64>,
    _folder: TempDir,
}

pub(crate) fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    STORE.with(|store| store.runtime.block_on(store.check(text)));
}

impl Store {
    fn open() -> Self {
        let folder = tempfile::tempdir().expect("the temporary folder can be written");
        Self {
            runtime: Builder::new_current_thread().build().expect("a runtime can be made"),
            conversations: ConversationStore::open(folder.path()).expect("the folder is empty"),
            imports: Cell::new(0),
            _folder: folder,
        }
    }

    async fn check(&self, text: &str) {
        self.imports.set(self.imports.get() + 1);
        let (first, second) = (format!("a{}", self.imports.get()), format!("b{}", self.imports.get()));
        match self.import(text, &first).await {
            Ok(imported) => {
                let lines = self.export(&first).await;
                let again = self.import(&lines, &second).await.expect("an export can be imported");
                assert_eq!((imported.turns, imported.events), (again.turns, again.events));
                let name = |id: &str| format!("\"conversation\":{{\"id\":\"{id}\"");
                let renamed = self.export(&second).await.replacen(&name(&second), &name(&first), 1);
                assert_eq!(renamed, lines, "it is the same bytes");
                for id in [first, second] {
                    self.conversations.delete(&id).await.expect("it is there");
                }
            }
            Err(StoreError::BadArchive { .. } | StoreError::TooLarge { .. }) => {
                let left = self
                    .conversations
                    .conversation(&first)
                    .await
                    .expect("the store can be read");
                assert_eq!(left, None, "what is refused leaves nothing");
            }
            Err(error) => unreachable!("an import fails by its lines alone: {error}"),
        }
    }

    async fn import(&self, text: &str, id: &str) -> Result<Imported, StoreError> {
        let to = ImportTarget {
            id: Some(id.to_owned()),
        };
        let mut import = self.conversations.import(to, checks());
        for line in text.lines() {
            import.line(line).await?;
        }
        import.finish().await
    }

    async fn export(&self, id: &str) -> String {
        let mut export = self.conversations.export(id);
        let mut lines = String::new();
        while let Some(piece) = export.piece().await.expect("what was imported can be exported") {
            lines.push_str(&piece);
        }
        lines
    }
}

/// As the sidecar checks, but for the hash of an agent, which no change would survive.
fn checks() -> ImportChecks {
    ImportChecks {
        is_id: |id| protocol::check_conversation_id(id).is_ok(),
        agent: |_hash, _json| Ok(()),
        event: |kind, json| protocol::check_logged(kind, json).map_err(|error| error.to_string()),
    }
}
