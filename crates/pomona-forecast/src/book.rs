//! Machines, what they cost, and what is known of their processors.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::error::ForecastError;

/// The prices that are part of the program.
const BUILT_IN: &str = include_str!("../data/prices.toml");

/// Prices of machines and storage at one date.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceBook {
    /// The date of the machines' prices, `YYYY-MM-DD`.
    pub dated: String,
    /// The currency that prices are in.
    pub currency: String,
    /// Euros for one unit of it.
    pub eur_per_unit: f64,
    /// The date of that rate.
    pub eur_dated: String,
    /// Where all of it comes from.
    #[serde(default)]
    pub sources: Vec<String>,
    /// Processors, by the names that machines give.
    #[serde(default)]
    pub cpu: BTreeMap<String, Cpu>,
    /// Machine types.
    #[serde(default)]
    pub machine: Vec<Machine>,
    /// Storage, by any name.
    #[serde(default)]
    pub storage: BTreeMap<String, Storage>,
    /// Grams of CO₂ equivalent for a kilowatt-hour, by region.
    #[serde(default)]
    pub grid: BTreeMap<String, f64>,
    /// Energy that a provider's data centre takes for each unit that its machines take, by provider.
    #[serde(default)]
    pub pue: BTreeMap<String, f64>,
}

/// One virtual processor of a kind, all of its machine's at work.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cpu {
    /// What people call it.
    pub title: String,
    /// Parts of the name that the system has for it.
    #[serde(default)]
    pub matches: Vec<String>,
    /// Instruction set, as Rust calls it: `x86_64` or `aarch64`.
    pub isa: String,
    /// Single-precision operations a second at most, in units of 10⁹.
    pub matrix_gflops: f64,
    /// Work on whole numbers in a second, relative to the other processors of the file.
    pub general: f64,
    /// Power when idle, watts.
    #[serde(default)]
    pub watts_idle: Option<f64>,
    /// Power at full load, watts.
    #[serde(default)]
    pub watts_full: Option<f64>,
}

/// A machine that can be rented.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// The provider's name of the type.
    pub name: String,
    /// Who rents it out.
    pub provider: String,
    /// Where it stands.
    pub region: String,
    /// Its processor, by its name in the file.
    pub cpu: String,
    /// Virtual processors.
    pub vcpus: u32,
    /// Memory in GiB.
    pub memory_gib: f64,
    /// What its network carries for long, Gbit/s.
    #[serde(default)]
    pub network_gbit: Option<f64>,
    /// Price of an hour, in the file's currency.
    pub on_demand: f64,
    /// The same where the machine may be taken away at any time.
    #[serde(default)]
    pub spot: Option<f64>,
}

/// What storage costs, in the file's currency.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storage {
    /// Who rents it out.
    pub provider: String,
    /// Where it is.
    pub region: String,
    /// A thousand requests that write or list.
    #[serde(default)]
    pub per_1000_writes: Option<f64>,
    /// A thousand requests that read.
    #[serde(default)]
    pub per_1000_reads: Option<f64>,
    /// A gigabyte (10⁹ bytes) for a month.
    #[serde(default)]
    pub per_gb_month: Option<f64>,
    /// A gigabyte that leaves the provider.
    #[serde(default)]
    pub per_gb_out: Option<f64>,
}

/// A name and the processor behind it.
#[derive(Debug, Clone, Copy)]
pub struct KnownCpu<'a> {
    /// Its name in the file.
    pub name: &'a str,
    /// What is known of it.
    pub cpu: &'a Cpu,
}

impl PriceBook {
    /// The prices that are part of the program.
    ///
    /// # Errors
    /// None, where the program was built from files that pass its tests.
    pub fn built_in() -> Result<Self, ForecastError> {
        Self::parse(BUILT_IN)
    }

    /// Reads a file of the same shape.
    ///
    /// # Errors
    /// [`ForecastError::Prices`] and [`ForecastError::Implausible`].
    pub fn parse(text: &str) -> Result<Self, ForecastError> {
        let book: Self =
            toml::from_str(text).map_err(|error| ForecastError::Prices(Box::new(error)))?;
        book.check()?;
        Ok(book)
    }

    fn check(&self) -> Result<(), ForecastError> {
        positive("eur_per_unit", self.eur_per_unit)?;
        for (name, cpu) in &self.cpu {
            positive(&format!("cpu.{name}.matrix_gflops"), cpu.matrix_gflops)?;
            positive(&format!("cpu.{name}.general"), cpu.general)?;
            for watts in [cpu.watts_idle, cpu.watts_full].into_iter().flatten() {
                positive(&format!("the watts of cpu.{name}"), watts)?;
            }
        }
        for machine in &self.machine {
            let name = &machine.name;
            if !self.cpu.contains_key(&machine.cpu) {
                return Err(ForecastError::Implausible {
                    what: format!(
                        "machine {name} names the processor {}, of which nothing is said",
                        machine.cpu
                    ),
                });
            }
            positive(&format!("the memory of {name}"), machine.memory_gib)?;
            positive(&format!("the vcpus of {name}"), f64::from(machine.vcpus))?;
            let prices = [Some(machine.on_demand), machine.spot, machine.network_gbit];
            for number in prices.into_iter().flatten() {
                positive(&format!("a price or network of {name}"), number)?;
            }
        }
        for (name, storage) in &self.storage {
            let prices = [
                storage.per_1000_writes,
                storage.per_1000_reads,
                storage.per_gb_month,
                storage.per_gb_out,
            ];
            for price in prices.into_iter().flatten() {
                if !price.is_finite() || price < 0.0 {
                    return Err(ForecastError::Implausible {
                        what: format!("a price of storage.{name} is {price}"),
                    });
                }
            }
        }
        for (region, grams) in &self.grid {
            positive(&format!("grid.{region}"), *grams)?;
        }
        for (provider, pue) in &self.pue {
            positive(&format!("pue.{provider}"), *pue)?;
        }
        Ok(())
    }

    /// The processor that a system calls so; the longest name that fits.
    #[must_use]
    pub fn cpu_called(&self, system_name: &str) -> Option<KnownCpu<'_>> {
        let wanted = system_name.to_lowercase();
        self.cpu
            .iter()
            .flat_map(|(name, cpu)| cpu.matches.iter().map(move |part| (name, cpu, part)))
            .filter(|(_, _, part)| !part.is_empty() && wanted.contains(&part.to_lowercase()))
            .max_by_key(|(_, _, part)| part.len())
            .map(|(name, cpu, _)| KnownCpu { name, cpu })
    }

    /// The machine of that name; of several the one in `region`, else the first.
    ///
    /// # Errors
    /// [`ForecastError::UnknownMachine`].
    pub fn machine(&self, name: &str, region: Option<&str>) -> Result<&Machine, ForecastError> {
        let called = || self.machine.iter().filter(|machine| machine.name == name);
        called()
            .find(|machine| Some(machine.region.as_str()) == region)
            .or_else(|| called().next())
            .ok_or_else(|| {
                let family = name.split(['.', '-', '_']).next().unwrap_or(name);
                ForecastError::UnknownMachine {
                    name: name.to_owned(),
                    similar: self
                        .machine
                        .iter()
                        .filter(|machine| machine.name.starts_with(family))
                        .map(|machine| machine.name.clone())
                        .take(8)
                        .collect(),
                }
            })
    }

    /// The storage of a provider in a region.
    #[must_use]
    pub fn storage_in(&self, provider: &str, region: &str) -> Option<&Storage> {
        self.storage
            .values()
            .find(|storage| storage.provider == provider && storage.region == region)
    }

    /// An amount of the file's currency in euros.
    #[must_use]
    pub fn euros(&self, amount: f64) -> f64 {
        amount * self.eur_per_unit
    }
}

fn positive(what: &str, number: f64) -> Result<(), ForecastError> {
    if number.is_finite() && number > 0.0 {
        return Ok(());
    }
    Err(ForecastError::Implausible {
        what: format!("{what} is {number}; it must be more than nothing"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prices_in_the_program_can_be_read() {
        let book = PriceBook::built_in().unwrap();
        assert!(book.machine.len() > 30);
        let machine = book.machine("c7g.xlarge", Some("eu-west-3")).unwrap();
        assert_eq!((machine.vcpus, machine.memory_gib), (4, 8.0));
        assert!(book.grid.contains_key(&machine.region));
        assert!(book.storage_in("aws", "eu-west-3").is_some());
        for machine in &book.machine {
            assert!(
                machine.spot.is_none_or(|spot| spot <= machine.on_demand),
                "{}: spot costs more than on demand",
                machine.name
            );
        }
        let mut names: Vec<_> = book
            .machine
            .iter()
            .map(|machine| (&machine.name, &machine.region))
            .collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), book.machine.len(), "a machine is there twice");
    }

    #[test]
    fn processors_are_known_by_what_systems_call_them() {
        let book = PriceBook::built_in().unwrap();
        let name = |system| book.cpu_called(system).map(|known| known.name);
        assert_eq!(name("Neoverse-V1"), Some("graviton3"));
        assert_eq!(
            name("Intel(R) Xeon(R) Platinum 8488C family 6 model 143"),
            Some("xeon-sapphire-rapids")
        );
        assert_eq!(name("AMD EPYC 9R14 family 25 model 17"), Some("epyc4-core"));
        assert_eq!(name("AMD EPYC family 26 model 2"), Some("epyc5-smt"));
        assert_eq!(name("Some other processor"), None);
        assert_eq!(name(""), None);
    }

    #[test]
    fn a_machine_that_is_not_there_is_told_with_others_of_its_family() {
        let book = PriceBook::built_in().unwrap();
        let Err(ForecastError::UnknownMachine { name, similar }) = book.machine("c7g.huge", None)
        else {
            panic!("there is such a machine");
        };
        assert_eq!(name, "c7g.huge");
        assert!(similar.contains(&"c7g.xlarge".to_owned()), "{similar:?}");
    }

    #[test]
    fn what_is_wrong_is_told_by_its_name() {
        let base = "dated = '2026-01-01'\ncurrency = 'EUR'\neur_per_unit = 1.0\neur_dated = '2026-01-01'\n";
        let cpu = "[cpu.x]\ntitle = 'X'\nisa = 'x86_64'\nmatrix_gflops = 10.0\ngeneral = 1.0\n";
        let machine = "[[machine]]\nname = 'm'\nprovider = 'own'\nregion = 'here'\ncpu = 'x'\nvcpus = 2\nmemory_gib = 4.0\non_demand = 0.1\n";
        let told = |text: &str| PriceBook::parse(text).unwrap_err().to_string();
        assert!(PriceBook::parse(&format!("{base}{cpu}{machine}")).is_ok());
        assert!(PriceBook::parse(base).is_ok());
        let text = told(&format!("{base}{machine}"));
        assert!(text.contains("processor x"), "{text}");
        let text = told(&format!("{base}{cpu}{machine}spot = -0.1\n"));
        assert!(text.contains('m') && text.contains("-0.1"), "{text}");
        let text = told(&base.replace("1.0", "nan"));
        assert!(text.contains("eur_per_unit"), "{text}");
        let text = told(&format!("{base}{cpu}colour = 'red'\n"));
        assert!(text.contains("colour"), "{text}");
    }
}
