//! What the directory lies on, for the person who runs the registry.
//!
//! What safety rests on was tried when the driver was opened and is not tried again here.

use entrepot_storage::{Finding, Result};
use rustix::fs::{StatVfs, fstatfs, fstatvfs};
use rustix::io::Errno;

use crate::client::Client;
use crate::error::of_read;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Below this a push of one layer may fill the disk.
const LITTLE_SPACE: u64 = 10 * GIB;
/// Below this nothing can be expected to work.
const NO_SPACE: u64 = 64 * MIB;
/// Each object is a file, and an image brings a few dozen.
const FEW_FILES: u64 = 10_000;

/// How far a filesystem can be trusted with a registry.
#[derive(Clone, Copy)]
enum Nature {
    Local,
    Volatile,
    Network,
    User,
}

/// Filesystems by the number the kernel knows them by.
const KNOWN: [(u64, &str, Nature); 13] = [
    (0xef53, "ext4", Nature::Local),
    (0x5846_5342, "xfs", Nature::Local),
    (0x9123_683e, "btrfs", Nature::Local),
    (0x2fc1_2fc1, "zfs", Nature::Local),
    (0xf2f5_2010, "f2fs", Nature::Local),
    (0x794c_7630, "overlay", Nature::Local),
    (0x0102_1994, "tmpfs", Nature::Volatile),
    (0x8584_58f6, "ramfs", Nature::Volatile),
    (0x6969, "nfs", Nature::Network),
    (0xfe53_4d42, "smb2", Nature::Network),
    (0xff53_4d42, "cifs", Nature::Network),
    (0x00c3_6400, "ceph", Nature::Network),
    (0x6573_5546, "fuse", Nature::User),
];

/// Looks at the filesystem below the root. Waits for the disk.
pub(crate) fn inspect(client: &Client) -> Result<Vec<Finding>> {
    client.check_alive()?;
    let failed = |errno: Errno| of_read(errno, None);
    let magic = fstatfs(&client.root).map_err(failed)?.f_type as u64 & 0xffff_ffff;
    let space = fstatvfs(&client.root).map_err(failed)?;
    Ok(vec![fitness(client), filesystem(magic), room(&space), files(&space)])
}

fn fitness(client: &Client) -> Finding {
    let renames = match client.abilities.rename_noreplace {
        true => "exclusive renames",
        false => "exclusive links",
    };
    Finding::note("directory", format!("writable; {renames}, locks, times in nanoseconds and fsync work"))
}

fn filesystem(magic: u64) -> Finding {
    const SUBJECT: &str = "filesystem";
    let Some((_, name, nature)) = KNOWN.iter().find(|(known, _, _)| *known == magic) else {
        return Finding::note(SUBJECT, format!("of a kind not known here (0x{magic:x})"));
    };
    match nature {
        Nature::Local => Finding::note(SUBJECT, *name),
        Nature::Volatile => Finding::warning(
            SUBJECT,
            format!("{name}, which lies in memory: everything is lost when the machine stops"),
            "mount a disk at the directory",
        ),
        Nature::Network => Finding::warning(
            SUBJECT,
            format!("{name}: locks and the order of writes depend on its server and mount options"),
            "run one replica on it, or use object storage for several; on NFS mount version 4 with \
             lookupcache=none",
        ),
        Nature::User => Finding::warning(
            SUBJECT,
            format!("{name}: what fsync and locks mean depends on the program behind it"),
            "use a local disk, or the store behind it by its own driver",
        ),
    }
}

fn room(space: &StatVfs) -> Finding {
    const SUBJECT: &str = "free space";
    const REMEDY: &str = "make room, or move the directory to a larger disk";
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    let state = format!("{} of {}", readable(free), readable(space.f_blocks.saturating_mul(space.f_frsize)));
    match free {
        ..NO_SPACE => Finding::fault(SUBJECT, state, REMEDY),
        NO_SPACE..LITTLE_SPACE => Finding::warning(SUBJECT, state, REMEDY),
        _ => Finding::note(SUBJECT, state),
    }
}

fn files(space: &StatVfs) -> Finding {
    const SUBJECT: &str = "free files";
    // Filesystems that make inodes as they need them tell that they have none.
    if space.f_files == 0 {
        return Finding::note(SUBJECT, "as many as fit");
    }
    let state = format!("{} of {}", space.f_favail, space.f_files);
    match space.f_favail {
        ..FEW_FILES => {
            Finding::warning(SUBJECT, state, "make the filesystem anew with more inodes (mkfs -N or -i)")
        }
        _ => Finding::note(SUBJECT, state),
    }
}

fn readable(bytes: u64) -> String {
    match bytes {
        ..GIB => format!("{} MiB", bytes / MIB),
        _ => format!("{:.1} GiB", bytes as f64 / GIB as f64),
    }
}

#[cfg(test)]
mod tests {
    use entrepot_storage::Severity;

    use super::*;

    #[test]
    fn what_is_lost_with_power_or_lies_elsewhere_is_warned_of() {
        assert_eq!(filesystem(0xef53), Finding::note("filesystem", "ext4"));
        for magic in [0x0102_1994, 0x6969, 0x6573_5546] {
            let finding = filesystem(magic);
            assert_eq!(finding.severity, Severity::Warning, "{finding:?}");
            assert!(!finding.remedy.is_empty());
        }
    }

    #[test]
    fn sizes_are_readable() {
        assert_eq!((readable(5 * MIB + 1), readable(3 * GIB / 2)), ("5 MiB".into(), "1.5 GiB".into()));
    }
}
