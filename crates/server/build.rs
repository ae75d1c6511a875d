//! Makes sure that the folder the console is embedded from exists, so that `cargo build` works
//! without Node. Does not build the console.

fn main() {
    let dist = "../../console/dist";
    std::fs::create_dir_all(dist).expect("the source tree can be written to");
    println!("cargo::rerun-if-changed={dist}");
}
