//! The care of a deployment: its master key's rotation, and the doctor.

mod doctor;
mod erase;
mod rotation;
