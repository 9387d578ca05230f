"""What an application has of its own: a table that commands write to."""

from uuid import uuid4

from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Note(Base):
    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    note: Mapped[str]

    @classmethod
    def fresh(cls) -> "Note":
        """A note that nobody made before."""
        return cls(note=str(uuid4()))
