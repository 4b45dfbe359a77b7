"""What operators do with the database as a whole: back up, restore, begin an epoch, compact."""
