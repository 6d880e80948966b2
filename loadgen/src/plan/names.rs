//! What the groups of a plan are called: whose jobs are meant where those of an earlier phase are
//! recorded, and that no two names end in one file. What a name becomes in a file stands in `job/names.rs`.
use crate::job::names::slug;
use crate::plan::terms::Plan;

/// What a group is called in the figures of a phase: by its name, or as `NAME of PHASE` if its phase is an earlier one,
/// some of whose jobs were left for this.
pub(crate) fn called(name: &str, phase: &str, is_own: bool) -> String {
    if is_own { name.to_owned() } else { format!("{name} of {phase}") }
}

/// What every group of clients of a plan, in its order, is called in the figures of phase `index`.
pub(crate) fn in_phase(plan: &Plan, index: usize) -> Vec<String> {
    let phases = plan.phases.iter().enumerate();
    let all =
        phases.flat_map(|(number, phase)| phase.clients.iter().map(move |group| (number, phase, group)));
    all.map(|(number, phase, group)| called(&group.name, &phase.name, number == index)).collect()
}

/// What is wrong with the names of a plan, if anything: each is a file of the result.
pub(crate) fn flaw(plan: &Plan) -> Option<String> {
    let phases = plan.phases.iter().map(|phase| phase.name.clone());
    if let Some(flaw) = clash(phases) {
        return Some(format!("the names of its phases: {flaw}"));
    }
    plan.phases.iter().enumerate().find_map(|(index, phase)| {
        // What a later phase submits cannot be seen in this one.
        let earlier = plan.phases[..=index].iter().map(|phase| phase.clients.len()).sum();
        let clients = in_phase(plan, index).into_iter().take(earlier);
        let workers = phase.workers.iter().map(|group| group.name.clone());
        let flaw = clash(clients).or_else(|| clash(workers))?;
        Some(format!("phase {}: the names of its groups: {flaw}", phase.name))
    })
}

/// The first name that has no letter or digit for a file, or the same as an earlier one.
fn clash(names: impl Iterator<Item = String>) -> Option<String> {
    let mut seen: Vec<(String, String)> = vec![];
    for name in names {
        let file = slug(&name);
        if file.is_empty() {
            return Some(format!(
                "`{name}` has none of the letters a to z and digits, so it can name no file"
            ));
        }
        if let Some((other, _)) = seen.iter().find(|(_, known)| *known == file) {
            return Some(format!(
                "`{other}` and `{name}` would be one file, {file}; give them different names"
            ));
        }
        seen.push((name, file));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(phases: &str) -> Plan {
        toml::from_str(&format!("name = 'x'\nabout = 'x'\n{phases}")).unwrap()
    }

    fn group(name: &str) -> String {
        format!("[[phases.clients]]\n{name}\ncount = 1\nrate = 1\n")
    }

    fn phase(name: &str) -> String {
        format!("[[phases]]\nname = '{name}'\nseconds = 1\n")
    }

    /// Two groups without a name once wrote the same files and shared a series.
    #[test]
    fn groups_without_a_name_are_numbered() {
        let names = |groups: &[&str]| -> Vec<String> {
            let groups: String = groups.iter().map(|name| group(name)).collect();
            let plan = plan(&(phase("p") + &groups));
            assert_eq!(flaw(&plan), None);
            let written = toml::to_string(&plan).unwrap();
            assert_eq!(toml::from_str::<Plan>(&written).unwrap(), plan);
            plan.phases[0].clients.iter().map(|group| group.name.clone()).collect()
        };
        assert_eq!(names(&[""]), ["clients"]);
        assert_eq!(names(&["", ""]), ["clients-1", "clients-2"]);
        assert_eq!(names(&["name = 'a'", ""]), ["a", "clients"]);
        assert_eq!(names(&["name = 'clients'", ""]), ["clients", "clients-1"]);
        assert_eq!(names(&["", "name = 'clients 1'", ""]), ["clients-2", "clients 1", "clients-3"]);
        let two = "[[phases.workers]]\ncount = 1\n".repeat(2);
        let plan = plan(&(phase("p") + &two));
        assert_eq!(plan.phases[0].workers[1].name, "workers-2");
    }

    #[test]
    fn names_of_one_file_or_none_are_refused() {
        let groups = |a: &str, b: &str| flaw(&plan(&(phase("p") + &group(a) + &group(b)))).unwrap();
        assert!(groups("name = 'a b'", "name = 'A-b'").contains("`a b` and `A-b` would be one file, a-b"));
        assert!(groups("name = 'a'", "name = 'äö'").contains("`äö` has none of the letters"));
        let phases = flaw(&plan(&(phase("x 1") + &phase("x-1")))).unwrap();
        assert!(phases.contains("names of its phases: `x 1` and `x-1`"), "{phases}");
        // What the first leaves for the second is called so there.
        let second = phase("b") + &group("name = 'x of a'");
        let earlier = flaw(&plan(&(phase("a") + &group("name = 'x'") + &second))).unwrap();
        assert!(earlier.contains("phase b") && earlier.contains("x-of-a"), "{earlier}");
        assert_eq!(flaw(&plan(&(phase("a") + &group("") + &phase("b") + &group("")))), None);
    }

    #[test]
    fn jobs_of_an_earlier_phase_are_called_after_it() {
        let plan = plan(&(phase("fill") + &group("") + &phase("drain") + &group("")));
        assert_eq!(in_phase(&plan, 0)[0], "clients");
        assert_eq!(in_phase(&plan, 1), ["clients of fill", "clients"]);
    }
}
