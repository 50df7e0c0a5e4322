//! Libraries beside each other.

use std::sync::Arc;

use docent::Library;
use docent::inference::chat::{Scripted, ScriptedReply};
use docent::inference::{ConfiguredModels, ModelsConfig};

use crate::support::{Home, add_all, ask};

#[test]
fn two_libraries_share_their_models_and_nothing_else() {
    let home = Home::new();
    let model = Arc::new(Scripted::new([ScriptedReply::text("It is green.")]));
    let models = ConfiguredModels::new(ModelsConfig::empty()).with_model("default", model);
    let builder = Library::builder(home.library()).without_embedder();
    let first = builder.own_models(Arc::new(models)).open().unwrap();
    let second = Library::builder(home.library().join("projects/second"));
    let second = second.sharing_models(&first).open().unwrap();
    assert!(Arc::ptr_eq(first.engine().models(), second.engine().models()));
    add_all(&first, &[home.write("pump.md", "The pump is green.")]);
    assert_eq!(second.documents().unwrap().len(), 0);
    assert_eq!(ask(&second, "Which color is the pump?").text(), "It is green.");
    assert_eq!(first.engine().threads(&Default::default(), &Default::default()).unwrap().data, []);
    assert_eq!(first.check(docent::Repair::No).unwrap(), []);
}
