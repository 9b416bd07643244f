//! Questions and answers in a script:
//!
//! ```text
//! ? asked c3                 since this was looked at last, one question was put, on c3 (`c3 c4`: two; `c3*`: it asks
//!                            for all lists; nothing: none)
//! c6 answers c3 t1 t2        on c6 comes the answer to the last question on c3: these tasks are active
//! c6 answers c3/1 t1         the answer to the first question that was put on c3
//! c6 answers c3 reserved:t1 scheduled:t2 t3      the other lists, if it asks for them
//! c6 answers c3 ?            it cannot be read
//! ```

use super::Script;
use draingate::job::{ConnId, JobEvent};
use draingate::question::{Answer, List};

impl Script {
    pub(super) fn check_asked(&mut self, wanted: &[&str]) -> Result<(), String> {
        let name = |id: ConnId| self.conns.iter().find(|(_, client)| client.id == id).map(|(name, _)| name.clone());
        let all = |lists: &[List]| if lists.contains(&List::Scheduled) { "*" } else { "" };
        let asked = self.asked[self.looked..].iter();
        let mut found: Vec<String> =
            asked.map(|(id, asked)| name(*id).unwrap_or_default() + all(asked.lists)).collect();
        found.sort();
        self.looked = self.asked.len();
        if found == wanted { Ok(()) } else { Err(format!("asked: {found:?}")) }
    }

    /// The parts of an answer, in the order of the lists.
    pub(super) fn answers(&mut self, on: ConnId, words: &[&str]) -> Result<(), String> {
        let (name, which) = words[0].split_once('/').map_or((words[0], None), |(name, n)| (name, n.parse().ok()));
        let id = self.conn(name)?.id;
        let of: Vec<_> = self.asked.iter().filter(|(asked, _)| *asked == id).map(|(_, asked)| asked).collect();
        let question = match which {
            Some(number) => of.get(usize::checked_sub(number, 1).ok_or("from 1 on")?),
            None => of.last(),
        };
        let question = (*question.ok_or("it was not asked")?).clone();
        for list in question.lists {
            let of = |word: &&str| match word.split_once(':') {
                Some((of, task)) => (of == list.command()).then(|| task.to_owned()),
                None => (*list == List::Active).then(|| (*word).to_owned()),
            };
            let tasks = (words.get(1) != Some(&"?")).then(|| words[1..].iter().filter_map(of).collect());
            let answer = Answer { number: question.number, list: *list, tasks };
            self.fleet.event(self.now, on, JobEvent::Answered(answer));
        }
        Ok(())
    }
}
