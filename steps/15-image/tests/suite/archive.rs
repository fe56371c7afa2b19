//! Writes tar archives, right ones and wrong ones: no builder would write the wrong ones.

use std::io::Write;

use tar::Header;

/// An archive in the making.
#[derive(Clone, Default)]
pub struct Archive {
    bytes: Vec<u8>,
}

impl Archive {
    pub fn new() -> Archive {
        Archive::default()
    }

    /// A header as `change` leaves it, with its data.
    pub fn entry(
        mut self,
        flag: u8,
        name: &str,
        data: &[u8],
        change: impl Fn(&mut Header),
    ) -> Self {
        let mut header = Header::new_ustar();
        let old = header.as_old_mut();
        old.name[..name.len()].copy_from_slice(name.as_bytes());
        old.linkflag[0] = flag;
        header.set_mode(if flag == b'5' { 0o755 } else { 0o644 });
        header.set_uid(rustix::process::geteuid().as_raw().into());
        header.set_gid(rustix::process::getegid().as_raw().into());
        header.set_mtime(1_000_000_000);
        header.set_size(data.len() as u64);
        change(&mut header);
        header.set_cksum();
        self.bytes.extend_from_slice(header.as_bytes());
        self.bytes.extend_from_slice(data);
        let padding = self.bytes.len().next_multiple_of(512);
        self.bytes.resize(padding, 0);
        self
    }

    pub fn file(self, name: &str, data: &str) -> Self {
        self.entry(b'0', name, data.as_bytes(), |_| {})
    }

    pub fn directory(self, name: &str) -> Self {
        self.entry(b'5', name, b"", |_| {})
    }

    pub fn symlink(self, name: &str, target: &str) -> Self {
        self.link(b'2', name, target)
    }

    pub fn hard_link(self, name: &str, target: &str) -> Self {
        self.link(b'1', name, target)
    }

    fn link(self, flag: u8, name: &str, target: &str) -> Self {
        if target.len() > 100 {
            return self.pax(&[("linkpath", target.as_bytes())]).entry(flag, name, b"", |_| {});
        }
        self.entry(flag, name, b"", |header| {
            header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
        })
    }

    /// Records for the next entry.
    pub fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let mut data = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let mut length = rest + 1;
            while length != rest + length.to_string().len() {
                length += 1;
            }
            write!(data, "{length} {key}=").unwrap();
            data.extend_from_slice(value);
            data.push(b'\n');
        }
        self.entry(b'x', "pax", &data, |_| {})
    }

    /// A name in GNU's way for the next entry.
    pub fn long_name(self, name: &str) -> Self {
        self.entry(b'L', "././@LongLink", format!("{name}\0").as_bytes(), |_| {})
    }

    /// With the two blocks at the end.
    pub fn end(mut self) -> Vec<u8> {
        self.bytes.resize(self.bytes.len() + 1024, 0);
        self.bytes
    }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}
