//! One interpreter: an instance of the module, its memory, and what it is asked to do.
//!
//! A program is one *turn* of the interpreter. Its first turn is our driver, `driver.py`, which
//! then runs programs and reports through the [door](Door) how each ended. Every 20 ms of running
//! the guest comes by [`look_at_watch`]. When time is over the host writes into the guest's memory
//! what CPython's own signal handler would (see [`SIGNALS`]), so that the program is interrupted
//! as by a key press and keeps its variables; if that does not help, the guest is stopped where it
//! is, and is of no use any more.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use docent_core::{Error, ErrorKind, ProgramEnd, Result, SandboxLimits, SessionLoss};
use wasmtime::{
    Caller, Engine, InstancePre, Linker, Memory, Module, ResourceLimiter, Store, StoreContextMut,
    TypedFunc, UpdateDeadline,
};

use super::artifact::SIGNALS;
use super::door::{Door, ReportedEnd};
use super::output::Output;
use super::poll::poll_oneoff;
use super::wasi::{self, GuestMemory, Wasi};
use super::watch::{Step, Watch};

const DRIVER: &str = include_str!("driver.py");
const TURN: &str = "__import__('docent_driver').turn()";
/// The driver is started by us, so this is for a machine that stands still.
const START: Duration = Duration::from_secs(120);
/// The module's own table has some 70,000 entries and does not grow.
const TABLE_ENTRIES: usize = 1 << 20;

/// What the host keeps of one guest.
pub(super) struct State {
    pub(super) wasi: Wasi,
    pub(super) watch: Watch,
    pub(super) memory: Option<Memory>,
    door: Door,
    allocate: Option<TypedFunc<u32, u32>>,
    limit: MemoryLimit,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// What came of a turn.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) end: ProgramEnd,
    pub(super) value: Option<String>,
    pub(super) images: Vec<Vec<u8>>,
    pub(super) dropped_bytes: u64,
}

/// What one turn gets from its caller.
#[derive(Debug)]
pub(super) struct Task<'a> {
    pub(super) program: &'a str,
    pub(super) output: Output,
    pub(super) time: Duration,
    pub(super) grace: Duration,
    /// Set to interrupt it.
    pub(super) interrupt: Arc<AtomicBool>,
}

/// Why a guest stopped where it was.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stopped {
    Killed,
    Exited(u32),
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Killed => f.write_str("killed"),
            Self::Exited(status) => write!(f, "exited with status {status}"),
        }
    }
}

impl std::error::Error for Stopped {}

/// The module with its imports, ready to be made into guests.
pub(super) fn prepare(engine: &Engine, module: &Module) -> wasmtime::Result<InstancePre<State>> {
    let mut linker = Linker::new(engine);
    wasi::add_to(&mut linker)?;
    linker.func_wrap("wasi_snapshot_preview1", "poll_oneoff", poll_oneoff)?;
    linker.func_wrap("wasi_snapshot_preview1", "proc_exit", |status: u32| {
        wasmtime::Result::<()>::Err(Stopped::Exited(status).into())
    })?;
    linker.func_wrap("host", "call", host_call)?;
    linker.instantiate_pre(module)
}

/// A running interpreter.
pub(super) struct Guest {
    store: Store<State>,
    memory: Memory,
    allocate: TypedFunc<u32, u32>,
    turn: TypedFunc<(u32, u32), u32>,
}

impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guest").field("memory_bytes", &self.memory_bytes()).finish_non_exhaustive()
    }
}

impl Guest {
    /// Starts an interpreter and, in it, the driver.
    pub(super) fn start(
        module: &InstancePre<State>,
        wasi: Wasi,
        limits: &SandboxLimits,
    ) -> Result<Self> {
        let state = State {
            wasi,
            watch: Watch::new(START, Duration::ZERO, Arc::default()),
            memory: None,
            door: Door::default(),
            allocate: None,
            limit: MemoryLimit::new(limits.memory_bytes),
        };
        let mut store = Store::new(module.module().engine(), state);
        store.limiter(|state| &mut state.limit);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(look_at_watch);
        let mut guest = Self::instantiate(module, store)?;
        let (output, _) = Output::to_channel(0);
        let (time, grace, interrupt) = (START, Duration::ZERO, Arc::default());
        let turn = guest.turn(DRIVER, Task { program: "", output, time, grace, interrupt });
        match turn.end {
            ProgramEnd::Completed => Ok(guest),
            ProgramEnd::Lost(SessionLoss::OutOfMemory) => Err(too_little_memory(limits)),
            end => Err(Error::internal(format!("the interpreter does not start: {end:?}"))),
        }
    }

    fn instantiate(module: &InstancePre<State>, mut store: Store<State>) -> Result<Self> {
        let broken = |what| Error::internal(format!("the interpreter has no {what}"));
        let instance = module.instantiate(&mut store).map_err(|source| {
            let error = if store.data().limit.was_reached {
                Error::invalid("the memory limit is less than the interpreter begins with")
            } else {
                Error::unavailable("the interpreter's memory cannot be had")
            };
            error.with_source(boxed(source))
        })?;
        let memory = instance.get_memory(&mut store, "memory").ok_or_else(|| broken("memory"))?;
        let allocate = instance.get_typed_func(&mut store, "host_alloc");
        let allocate = allocate.map_err(|_| broken("host_alloc"))?;
        let turn = instance.get_typed_func(&mut store, "turn").map_err(|_| broken("turn"))?;
        store.data_mut().memory = Some(memory);
        store.data_mut().allocate = Some(allocate.clone());
        Ok(Self { store, memory, allocate, turn })
    }

    /// Runs a program. If it is lost, so is the guest.
    pub(super) fn run(&mut self, task: Task<'_>) -> Turn {
        self.turn(TURN, task)
    }

    pub(super) fn wasi(&mut self) -> &mut Wasi {
        &mut self.store.data_mut().wasi
    }

    fn memory_bytes(&self) -> usize {
        self.memory.data_size(&self.store)
    }

    fn turn(&mut self, source: &str, task: Task<'_>) -> Turn {
        let state = self.store.data_mut();
        state.door = Door::new(task.program);
        state.watch = Watch::new(task.time, task.grace, task.interrupt);
        state.wasi.output = task.output;
        state.limit.was_reached = false;
        self.store.set_epoch_deadline(1);
        let result = self.call(source);
        let state = self.store.data_mut();
        // Dropped, it tells whoever listens that the turn is over.
        let dropped_bytes = std::mem::take(&mut state.wasi.output).dropped_bytes();
        let report = std::mem::take(&mut state.door).close();
        let (end, value, images) = match (result, report) {
            (Ok(()), Some((report, images))) => {
                (ended(report.end, report.traceback), report.value, images)
            }
            (result, _) => {
                let loss = loss(result, state.limit.was_reached);
                (ProgramEnd::Lost(loss), None, Vec::new())
            }
        };
        Turn { end, value, images, dropped_bytes }
    }

    fn call(&mut self, source: &str) -> wasmtime::Result<()> {
        let len = u32::try_from(source.len())?;
        let at = self.allocate.call(&mut self.store, len)?;
        self.memory.write(&mut self.store, at as usize, source.as_bytes())?;
        self.turn.call(&mut self.store, (at, len)).map(drop)
    }
}

/// wasmtime's error as a standard one.
pub(super) fn boxed(error: wasmtime::Error) -> Box<dyn std::error::Error + Send + Sync> {
    error.into()
}

fn too_little_memory(limits: &SandboxLimits) -> Error {
    let bytes = limits.memory_bytes;
    Error::invalid(format!("an interpreter does not start in {bytes} bytes; give it 128 MiB"))
}

fn ended(end: ReportedEnd, traceback: String) -> ProgramEnd {
    match end {
        ReportedEnd::Completed => ProgramEnd::Completed,
        ReportedEnd::Raised => ProgramEnd::Raised { traceback },
        ReportedEnd::Interrupted => ProgramEnd::Interrupted { traceback },
    }
}

/// Why there is no report.
fn loss(result: wasmtime::Result<()>, memory_was_refused: bool) -> SessionLoss {
    match result.map_err(|error| (error.downcast_ref::<Stopped>().copied(), error)) {
        Err((Some(Stopped::Killed), _)) => SessionLoss::Killed,
        Err((Some(Stopped::Exited(_)), _)) | Ok(()) if memory_was_refused => {
            SessionLoss::OutOfMemory
        }
        Err((Some(exited), _)) => SessionLoss::Crashed(exited.to_string()),
        Err(_) if memory_was_refused => SessionLoss::OutOfMemory,
        Err((None, trap)) => {
            let trap = trap.root_cause().to_string();
            SessionLoss::Crashed(trap.lines().next().unwrap_or_default().to_owned())
        }
        Ok(()) => SessionLoss::Protocol,
    }
}

/// How much memory a guest may have. A refused growth is a `MemoryError` in Python.
#[derive(Debug)]
struct MemoryLimit {
    most: usize,
    was_reached: bool,
}

impl MemoryLimit {
    fn new(bytes: u64) -> Self {
        Self { most: usize::try_from(bytes).unwrap_or(usize::MAX), was_reached: false }
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let fits = desired <= self.most;
        self.was_reached |= !fits;
        Ok(fits)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ENTRIES)
    }
}

/// Where a running guest comes by at each tick.
fn look_at_watch(mut store: StoreContextMut<'_, State>) -> wasmtime::Result<UpdateDeadline> {
    match store.data_mut().watch.step(Instant::now()) {
        Step::Continue => {}
        Step::Interrupt => {
            if let Some(memory) = store.data().memory {
                SIGNALS.interrupt(&mut GuestMemory(memory.data_mut(&mut store)));
            }
        }
        Step::Kill => return Err(Stopped::Killed.into()),
    }
    Ok(UpdateDeadline::Continue(1))
}

/// The door: a frame of bytes from the guest, and the host's answer.
fn host_call(
    mut caller: Caller<'_, State>,
    frame: u32,
    len: u32,
    answer_at: u32,
    answer_len_at: u32,
) -> wasmtime::Result<i32> {
    const FAULT: i32 = -2;
    let Some((memory, allocate)) = caller.data().memory.zip(caller.data().allocate.clone()) else {
        return Ok(FAULT);
    };
    let (bytes, state) = memory.data_and_store_mut(&mut caller);
    let answer = match GuestMemory(bytes).bytes(frame, len) {
        Ok(frame) if Door::admits(len) => state.door.answer(frame),
        _ => return Ok(FAULT),
    };
    let Ok(len) = u32::try_from(answer.len()) else { return Ok(FAULT) };
    let at = allocate.call(&mut caller, len)?;
    let mut bytes = GuestMemory(memory.data_mut(&mut caller));
    let written = (at != 0 || len == 0)
        .then(|| bytes.write(at, &answer))
        .and_then(|_| bytes.write_u32(answer_at, at).and(bytes.write_u32(answer_len_at, len)).ok());
    Ok(if written.is_some() { 0 } else { FAULT })
}

/// What [`Session`](docent_core::Session) says when its guest is gone.
pub(super) fn lost() -> Error {
    Error::new(ErrorKind::Conflict, "the session was lost; its variables and files are gone")
}
