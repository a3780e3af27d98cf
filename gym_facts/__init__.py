"""Facts about a release of NeMo Gym: ``python -m gym_facts`` reads them, ``python -m gym_facts.difference`` compares two."""
