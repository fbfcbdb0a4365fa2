//! What modules keep in memory beside the store: about its rows, and as long as it is open.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::Store;

/// One of each type.
#[derive(Default)]
pub struct Asides(Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>);

impl Store {
    /// The one of that type for all clones of this store; empty at first.
    pub fn aside<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        let mut all = self.inner.asides.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = Arc::clone(all.entry(TypeId::of::<T>()).or_insert_with(|| Arc::new(T::default())));
        // What lies under the id of a type is of that type.
        kept.downcast().unwrap_or_default()
    }
}
