//! Doing the runs of a sweep.

use std::path::Path;

use anyhow::Result;
use midashi_stage::{RunFolder, StageArguments, atomic};

use crate::donors::Donors;
use crate::grid::{Grid, Setting};
use crate::outcome;
use crate::share::share;
use crate::stages::{Failure, OWN, SHARED, Stages};
use crate::turn;

/// The runs of a sweep, ready to be done in any order.
pub struct Runs<'a> {
    grid: &'a Grid,
    donors: &'a Donors,
    stages: Stages,
    base: &'a StageArguments,
}

impl<'a> Runs<'a> {
    /// The runs of `grid`, on top of the configuration `base`.
    ///
    /// # Errors
    /// When the program of a stage is missing.
    pub fn new(grid: &'a Grid, donors: &'a Donors, base: &'a StageArguments) -> Result<Self> {
        Ok(Self { grid, donors, stages: Stages::beside_this_program()?, base })
    }

    /// Does the shared stages of the sweep's own configuration. The runs take over what they have in common with it.
    ///
    /// # Errors
    /// When a stage fails or is interrupted.
    pub fn prepare(&self) -> Result<()> {
        let _turn = turn::wait(self.donors.base())?;
        for stage in SHARED {
            self.stages.run(stage, &self.base.config, &self.base.set)??;
        }
        Ok(())
    }

    /// Does all stages of one run, and records how they ended. The inner result is the run's.
    ///
    /// # Errors
    /// When the run's folder cannot be written, or a stage is interrupted.
    pub fn run(&self, setting: &Setting) -> Result<Result<(), Failure>> {
        midashi_stage::outln!();
        midashi_stage::outln!("run {}/{} · {}", setting.number, self.grid.settings.len(), setting.name);
        let folder = RunFolder::of(&setting.config);
        let _turn = turn::wait(&folder)?;
        outcome::remove(&folder)?;
        atomic::write_bytes(&folder.config(), setting.config.to_toml()?.as_bytes())?;
        share(&self.donors.of(setting.number), &folder, &SHARED)?;
        let result = self.stages(&folder.config())?;
        outcome::write(&folder, &result)?;
        Ok(result)
    }

    fn stages(&self, config: &Path) -> Result<Result<(), Failure>> {
        for stage in SHARED.iter().chain(&OWN) {
            if let Err(failure) = self.stages.run(stage, config, &[])? {
                return Ok(Err(failure));
            }
        }
        Ok(Ok(()))
    }
}
