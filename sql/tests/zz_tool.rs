mod expr;
#[test]
fn tool() {
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        match expr::eval(&line) {
            Ok(Ok(v)) => println!("{v}"),
            Ok(Err(e)) => println!("error: {}", e.message()),
            Err(why) => println!("BEYOND {why}"),
        }
    }
}
