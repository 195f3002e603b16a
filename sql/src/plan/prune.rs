//! Dropping what nobody reads: columns of scans, computed expressions, aggregates, windows.

use super::{Join, Node, Query, Register};

impl Query {
    /// Drops the registers that nobody reads and the work that fills them.
    pub fn prune(&mut self) {
        // What a dropped expression read may have been its only reader, so this goes on until nothing is dropped;
        // every turn removes a level of expressions.
        while {
            let mut read = self.root.registers_read();
            self.outputs.iter().for_each(|expr| expr.add_registers(&mut read));
            read.sort_unstable();
            read.dedup();
            prune_node(&mut self.root, &read)
        } {}
    }
}

fn prune_node(node: &mut Node, read: &[Register]) -> bool {
    let mut dropped = false;
    let is_read = |register: &Register| read.binary_search(register).is_ok();
    match node {
        Node::Scan(scan) => scan.columns.retain(|(_, register)| is_read(register)),
        Node::Versions(scan) => scan.columns.retain(|(_, register)| is_read(register)),
        Node::TableFunction { columns, .. }
        | Node::Nested { columns, .. }
        | Node::WorkingTable { columns, .. } => columns.retain(|(_, register)| is_read(register)),
        Node::Compute { columns, .. } => dropped |= retain(columns, |(register, _)| is_read(register)),
        Node::Aggregate(aggregate) => {
            dropped |= retain(&mut aggregate.bare, |(register, _)| is_read(register));
            if aggregate.bare.is_empty() {
                aggregate.bare_from = None;
                dropped |= retain(&mut aggregate.calls, |call| is_read(&call.output));
            }
        }
        Node::Window(window) => dropped |= retain(&mut window.calls, |call| is_read(&call.output)),
        Node::Join(join) => {
            let Join { left_registers, right_registers, .. } = &mut **join;
            left_registers.retain(is_read);
            right_registers.retain(is_read);
        }
        _ => {}
    }
    if let Node::Compute { input, columns } = node
        && columns.is_empty()
    {
        *node = std::mem::replace(&mut **input, Node::Nothing);
        return prune_node(node, read) || dropped;
    }
    node.for_each_input_mut(&mut |input| dropped |= prune_node(input, read));
    dropped
}

fn retain<T>(list: &mut Vec<T>, keep: impl FnMut(&T) -> bool) -> bool {
    let before = list.len();
    list.retain(keep);
    list.len() < before
}
