//! The simulated disk's state, and what each call does to it.

use std::collections::BTreeMap;

use dosql_base::{Code, Error, ErrorKind, Result};

use super::damage::{Dice, Surviving, sectors};
use super::fault::{self, Call, Course, Plan, failed, full, stopped};
use super::file::FileState;
use super::trace::Trace;

#[derive(Clone)]
pub(super) enum NameChange {
    Set(String, usize),
    Rename(String, String),
    Remove(String),
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            NameChange::Set(name, file) => {
                names.insert(name.clone(), *file);
            }
            NameChange::Rename(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            NameChange::Remove(name) => {
                names.remove(name);
            }
        }
    }
}

#[derive(Clone, Default)]
pub(super) struct Disk {
    pub(super) files: Vec<FileState>,
    pub(super) names: BTreeMap<String, usize>,
    pub(super) durable_names: BTreeMap<String, usize>,
    pending_names: Vec<(u64, NameChange)>,
    /// The number of the next change of bytes, lengths or names.
    next_change: u64,
    pub(super) operations: u64,
    pub(super) crash_at: Option<u64>,
    pub(super) stopped: bool,
    pub(super) ignore_syncs: bool,
    pub(super) plans: Vec<Plan>,
    /// Faults that have happened.
    pub(super) faults: u64,
    /// Bytes that all files together may have.
    pub(super) room: Option<u64>,
    pub(super) trace: Trace,
}

impl Disk {
    /// Counts a call, and says how it goes.
    fn begin(&mut self, call: Call) -> Result<Course> {
        if self.stopped {
            return Err(stopped());
        }
        if fault::Calls::Changes.includes(call) {
            let number = self.operations;
            self.operations += 1;
            if self.crash_at.is_some_and(|crash| number >= crash) {
                self.stopped = true;
                return Ok(Course::Stops);
            }
        }
        let fault = fault::due(&mut self.plans, call);
        self.faults += u64::from(fault.is_some());
        Course::of(fault, call)
    }

    /// Runs a call and notes it in the trace.
    pub(super) fn call<T>(
        &mut self,
        call: Call,
        text: &[u8],
        numbers: &[u64],
        run: impl FnOnce(&mut Disk, Course) -> Result<T>,
    ) -> Result<T> {
        let result = self.begin(call).and_then(|course| run(self, course));
        self.trace.call(call as u8, text, numbers, &result);
        result
    }

    pub(super) fn find(&self, name: &str) -> Result<usize> {
        let missing = || Error::new(ErrorKind::Io, Code::IoErr, format!("open {name}: no such file"));
        self.names.get(name).copied().ok_or_else(missing)
    }

    pub(super) fn change_name(&mut self, course: Course, change: NameChange) -> Result<()> {
        change.apply(&mut self.names);
        self.pending_names.push((self.next_change, change));
        self.next_change += 1;
        course.result()
    }

    pub(super) fn create(&mut self, course: Course, name: &str) -> Result<usize> {
        if let Some(&file) = self.names.get(name) {
            // The same file, emptied. Until it is synced its old bytes may come back.
            self.files[file].set_len(&mut self.next_change, 0);
            return course.result().map(|()| file);
        }
        let file = self.files.len();
        self.files.push(FileState::default());
        self.change_name(course, NameChange::Set(name.to_string(), file)).map(|()| file)
    }

    pub(super) fn sync_names(&mut self, course: Course) -> Result<()> {
        course.result()?;
        if !self.ignore_syncs {
            self.durable_names.clone_from(&self.names);
            self.pending_names.clear();
        }
        Ok(())
    }

    /// Bytes that a file may still grow by.
    fn room_left(&self) -> usize {
        let Some(room) = self.room else { return usize::MAX };
        let taken: usize = self.names.values().map(|&file| self.files[file].bytes.len()).sum();
        usize::try_from(room).unwrap_or(usize::MAX).saturating_sub(taken)
    }

    /// Writes what there is room for; returns how many bytes.
    pub(super) fn write(&mut self, course: Course, file: usize, at: usize, bytes: &[u8]) -> Result<usize> {
        let end = self.files[file].bytes.len().saturating_add(self.room_left());
        let fits = bytes.len().min(end.saturating_sub(at));
        if fits == 0 && !bytes.is_empty() {
            return Err(full());
        }
        let bytes = &bytes[..fits];
        let Disk { files, next_change, .. } = self;
        let file = &mut files[file];
        match course {
            Course::Half(seed) => {
                let dice = Dice::new(Surviving::Some(seed), 0, 0);
                for sector in sectors(at, bytes.len()).filter(|_| dice.keeps(0)) {
                    file.write(next_change, at + sector.start, &bytes[sector]);
                }
                Err(failed())
            }
            Course::Short => {
                let half = bytes.len().div_ceil(2);
                file.write(next_change, at, &bytes[..half]);
                Ok(half)
            }
            _ => {
                file.write(next_change, at, bytes);
                course.result().map(|()| bytes.len())
            }
        }
    }

    pub(super) fn set_len(&mut self, course: Course, file: usize, len: usize) -> Result<()> {
        let grows = len.saturating_sub(self.files[file].bytes.len());
        if grows > self.room_left() {
            return Err(full());
        }
        self.files[file].set_len(&mut self.next_change, len);
        course.result()
    }

    pub(super) fn sync(&mut self, course: Course, file: usize) -> Result<()> {
        let file = &mut self.files[file];
        match course {
            Course::Half(seed) => {
                file.give_up(&Dice::new(Surviving::Some(seed), 0, 0));
                return Err(failed());
            }
            Course::Lost => {
                file.give_up(&Dice::new(Surviving::Nothing, 0, 0));
                return Err(failed());
            }
            _ => course.result()?,
        }
        if !self.ignore_syncs {
            file.sync();
        }
        Ok(())
    }

    /// The disk that a crash leaves, all of it durable.
    pub(super) fn survivor(&self, surviving: Surviving) -> Disk {
        let pending = self.files.iter().flat_map(|file| file.pending.iter().map(|(number, _)| *number));
        let numbers = pending.chain(self.pending_names.iter().map(|(number, _)| *number));
        let (first, last) = numbers.fold((u64::MAX, 0), |(first, last), n| (n.min(first), n.max(last)));
        let dice = Dice::new(surviving, first.min(last), last);
        let files = self.files.iter().map(|file| file.survivor(&dice)).collect();
        let mut names = self.durable_names.clone();
        for (number, change) in &self.pending_names {
            if dice.keeps(*number) {
                change.apply(&mut names);
            }
        }
        Disk { files, durable_names: names.clone(), names, trace: self.trace, ..Disk::default() }
    }

    /// The disk as the next process finds it.
    pub(super) fn next_process(&self) -> Disk {
        let mut disk = self.clone();
        (disk.operations, disk.crash_at, disk.stopped) = (0, None, false);
        disk.plans.clear();
        disk.faults = 0;
        disk
    }
}
